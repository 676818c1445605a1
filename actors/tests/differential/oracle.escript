#!/usr/bin/env escript
%% -*- erlang -*-
%%! +S 1 +sbwt none
%% Plays scripts on Erlang/OTP's own supervisor: one line of script in, one line of log out.
%%
%% A script is STRATEGY INTENSITY AUTO_SHUTDOWN;CHILDREN;STEP;STEP... (see script.rs). The log has one part for the
%% start and one for each step, separated by "; ": answers | what children saw, in order | who is there afterwards.
%%   +a a started   !a its start failed   ~a its start was ignored   -a the supervisor ended it   x it gave up
%%   a=1+ a is there, started once and up   a=1- there, but down
%% Nothing here waits for a time: the end of a child is awaited in the supervisor's links, its answer in a call.
-mode(compile).
-export([init/1, start/2, child/3, log/2]).

%% A period in which everything in a script counts, and an intensity that no script reaches.
-define(PERIOD, 1000000).
-define(UNLIMITED, 1000000).

main(_) ->
    ok = logger:remove_handler(default),
    ok = logger:set_primary_config(level, error),
    ok = logger:add_handler(collector, ?MODULE, #{}),
    notes = ets:new(notes, [named_table, ordered_set, public]),
    facts = ets:new(facts, [named_table, set, public]),
    process_flag(trap_exit, true),
    ok = io:setopts(standard_io, [binary]),
    {_, _, Stdlib} = lists:keyfind(stdlib, 1, application:which_applications()),
    io:format("OTP ~ts, stdlib ~ts~n", [erlang:system_info(otp_release), Stdlib]),
    answer_lines().

answer_lines() ->
    case io:get_line("") of
        Line when is_binary(Line) ->
            io:put_chars([lists:join("; ", run(string:trim(binary_to_list(Line)))), $\n]),
            answer_lines();
        _ ->
            halt(0)
    end.

run(Line) ->
    true = ets:delete_all_objects(facts),
    true = ets:delete_all_objects(notes),
    [Head, Children | Steps] = string:split(Line, ";", all),
    [Strategy, Intensity, Auto] = words(Head),
    know(strategy, list_to_atom(Strategy)),
    reload(Intensity, Auto),
    know(specs, [initial(Child) || Child <- words(Children)]),
    {ok, Supervisor} = supervisor:start_link(?MODULE, []),
    know(specs, []),
    {up, State} = settle(Supervisor),
    [part([], State) | play(Supervisor, Steps)].

play(Supervisor, []) ->
    exit(Supervisor, shutdown),
    [part([], await_end(Supervisor))];
play(Supervisor, [Step | Steps]) ->
    Answers = perform(Supervisor, [words(Action) || Action <- string:split(Step, ",", all)]),
    case settle(Supervisor) of
        {up, State} -> [part(Answers, State) | play(Supervisor, Steps)];
        {ended, Reason} -> [part(Answers, Reason)]
    end.

part(Answers, State) ->
    Notes = [Note || {_, Note} <- ets:tab2list(notes)],
    true = ets:delete_all_objects(notes),
    [lists:join(" ", Answers), " | ", lists:join(" ", Notes), " | ", State].

%%% Steps

%% Several actions of one step happen while the supervisor is held, so that it meets all of them at once, in order.
perform(Supervisor, [Action]) ->
    [answer(order(Supervisor, Action))];
perform(Supervisor, Actions) ->
    ok = sys:suspend(Supervisor),
    Orders = [order(Supervisor, Action) || Action <- Actions],
    catch sys:resume(Supervisor),
    [answer(Order) || Order <- Orders].

order(Supervisor, ["exit", Id, Reason]) ->
    Pid = known({pid, Id}, none),
    case is_pid(Pid) andalso is_process_alive(Pid) of
        true ->
            finish(Pid, Reason),
            await_unlinked(Supervisor, Pid),
            "done";
        false ->
            "dead"
    end;
order(_, ["plan", Id | Outcomes]) ->
    know({plan, Id}, Outcomes),
    "done";
order(Supervisor, ["start", Id]) ->
    ask(Supervisor, {start_child, [Id]});
order(Supervisor, ["start", Id, Restart, Significant, Stop]) ->
    ask(Supervisor, {start_child, spec(Id, Restart, Significant, Stop)});
order(Supervisor, ["terminate", Id]) ->
    Child = case known(strategy) of
        simple_one_for_one -> known({pid, Id}, none);
        _ -> Id
    end,
    ask(Supervisor, {terminate_child, Child});
order(Supervisor, ["restart", Id]) ->
    ask(Supervisor, {restart_child, Id});
order(Supervisor, ["delete", Id]) ->
    ask(Supervisor, {delete_child, Id});
order(Supervisor, ["shutdown"]) ->
    exit(Supervisor, shutdown),
    "done";
order(Supervisor, ["reload", Intensity, Auto]) ->
    reload(Intensity, Auto),
    change(Supervisor, case known(strategy) of
        simple_one_for_one -> current(Supervisor);
        _ -> []
    end);
order(Supervisor, ["respec", Id, Restart, Significant]) ->
    Dynamic = known(strategy) =:= simple_one_for_one,
    Changed = fun(Spec = #{id := Other}) when Other =:= Id; Dynamic ->
                      Spec#{restart => list_to_atom(Restart), significant => Significant =:= "s"};
                 (Spec) ->
                      Spec
              end,
    change(Supervisor, lists:map(Changed, current(Supervisor))).

finish(Pid, "killed") -> exit(Pid, kill);
finish(Pid, "other_shutdown") -> Pid ! {finish, {shutdown, told}};
finish(Pid, Reason) -> Pid ! {finish, list_to_atom(Reason)}.

ask(Supervisor, Request) ->
    {ticket, gen_server:send_request(Supervisor, Request)}.

answer({ticket, Ticket}) ->
    case gen_server:wait_response(Ticket, infinity) of
        {reply, ok} -> "ok";
        {reply, {ok, undefined}} -> "ignored";
        {reply, {ok, _}} -> "ok";
        {reply, {error, {already_started, _}}} -> "already_started";
        {reply, {error, Reason}} when is_atom(Reason) -> atom_to_list(Reason);
        {reply, {error, _}} -> "error";
        {error, _} -> "ended"
    end;
answer(Done) ->
    Done.

reload(Intensity, Auto) ->
    know(flags, #{
        strategy => known(strategy),
        intensity => case Intensity of "infinity" -> ?UNLIMITED; _ -> list_to_integer(Intensity) end,
        period => ?PERIOD,
        auto_shutdown => list_to_atom(Auto)
    }).

%% A change of flags and specs, the way a release upgrade makes it.
change(Supervisor, Specs) ->
    know(specs, Specs),
    ok = sys:suspend(Supervisor),
    Changed = sys:change_code(Supervisor, ?MODULE, undefined, []),
    ok = sys:resume(Supervisor),
    know(specs, []),
    case Changed of
        ok -> "done";
        _ -> "refused"
    end.

current(Supervisor) ->
    case known(strategy) of
        simple_one_for_one -> [known(template)];
        _ -> [spec_of(Supervisor, Id) || {Id, _, _, _} <- lists:reverse(supervisor:which_children(Supervisor))]
    end.

spec_of(Supervisor, Id) ->
    {ok, Spec} = supervisor:get_childspec(Supervisor, Id),
    % The arguments of a temporary child are not kept while it runs.
    Spec#{start => {?MODULE, start, [known({stop, Id}), Id]}}.

%%% Waiting

%% Once the link is gone the end of the child is in the supervisor's mailbox.
await_unlinked(Supervisor, Pid) ->
    case process_info(Supervisor, links) of
        {links, Links} ->
            case lists:member(Pid, Links) of
                true -> erlang:yield(), await_unlinked(Supervisor, Pid);
                false -> ok
            end;
        undefined ->
            ok
    end.

%% Each call lets one more of the supervisor's own tries happen.
settle(Supervisor) ->
    try supervisor:which_children(Supervisor) of
        Children ->
            case lists:keymember(restarting, 2, Children) of
                true -> settle(Supervisor);
                false -> {up, shown(known(strategy), Children)}
            end
    catch
        exit:_ -> {ended, await_end(Supervisor)}
    end.

await_end(Supervisor) ->
    receive
        {'EXIT', Supervisor, Reason} -> ["ended ", io_lib:format("~0p", [Reason])]
    end.

shown(simple_one_for_one, Children) ->
    Ids = maps:from_list([{Pid, list_to_integer(Id)} || [Id, Pid] <- ets:match(facts, {{pid, '$1'}, '$2'})]),
    % No number has the child without a pid that OTP keeps where a restart was ignored.
    Numbers = lists:sort([maps:get(Pid, Ids, 0) || {_, Pid, _, _} <- Children]),
    lists:join(" ", [show(integer_to_list(Number), true) || Number <- Numbers]);
shown(_, Children) ->
    lists:join(" ", [show(Id, is_pid(Pid)) || {Id, Pid, _, _} <- lists:reverse(Children)]).

show(Id, Up) ->
    [Id, $=, integer_to_list(known({starts, Id}, 0)), case Up of true -> "+"; false -> "-" end].

%%% The supervisor's callback and its children

init([]) ->
    case known(strategy) of
        simple_one_for_one -> know(template, hd(known(specs)));
        _ -> ok
    end,
    {ok, {known(flags), known(specs)}}.

initial(Text) ->
    [Id, Restart, Significant, Stop] = string:split(Text, ":", all),
    spec(Id, Restart, Significant, Stop).

spec(Id, Restart, Significant, Stop) ->
    know({stop, Id}, list_to_atom(Stop)),
    Arguments = case Id of
        "*" -> [list_to_atom(Stop)];
        _ -> [list_to_atom(Stop), Id]
    end,
    #{
        id => Id,
        start => {?MODULE, start, Arguments},
        restart => list_to_atom(Restart),
        significant => Significant =:= "s",
        shutdown => 60000
    }.

start(Stop, Id) ->
    proc_lib:start_link(?MODULE, child, [self(), Stop, Id]).

child(Parent, Stop, Id) ->
    case outcome(Id) of
        "ok" ->
            process_flag(trap_exit, true),
            ets:update_counter(facts, {starts, Id}, 1, {{starts, Id}, 0}),
            know({pid, Id}, self()),
            note([$+, Id]),
            proc_lib:init_ack(Parent, {ok, self()}),
            live(Parent, Stop, Id);
        "fail" ->
            note([$!, Id]),
            exit(told);
        "ignore" ->
            note([$~, Id]),
            unlink(Parent),
            proc_lib:init_ack(Parent, ignore)
    end.

live(Parent, Stop, Id) ->
    receive
        {finish, Reason} ->
            exit(Reason);
        {'EXIT', Parent, shutdown} ->
            note([$-, Id]),
            exit(Stop)
    end.

outcome(Id) ->
    case known({plan, Id}, []) of
        [] -> "ok";
        [Outcome | Later] -> know({plan, Id}, Later), Outcome
    end.

%% The logger's handler: runs in the supervisor, so that its place among the notes is right.
log(#{msg := {report, #{label := {supervisor, shutdown}}}}, _) ->
    note("x");
log(_, _) ->
    ok.

note(Note) ->
    true = ets:insert(notes, {erlang:unique_integer([monotonic]), Note}).

know(Key, Value) ->
    true = ets:insert(facts, {Key, Value}).

known(Key) ->
    ets:lookup_element(facts, Key, 2).

known(Key, Default) ->
    case ets:lookup(facts, Key) of
        [{_, Value}] -> Value;
        [] -> Default
    end.

words(Text) ->
    string:lexemes(Text, " ").
