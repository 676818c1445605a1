%% The work of `actors/benches/runtime` in Erlang/OTP: gen_servers under supervisors.
%%
%% erl -noshell -pa DIR -run bench main PART CHILDREN; prints lines `metric<TAB>unit<TAB>value`.
-module(bench).
-behaviour(supervisor).
-export([main/1, init/1, start_counter/1, start_counter/2, log/2]).

-define(BATCH, 1000).
-define(BATCHES, 1000).
-define(ASKS, 300000).
%% A supervisor walks its list of recent restarts at every restart: lists are kept as short as in real life.
-define(CRASHES, 10).
-define(ROUNDS, 1000).
-define(WARM_UP, 10).
%% Children of one supervisor in a mass crash, for the same reason.
-define(SHARD, 100).

main([Part, Children]) ->
    {Pid, Ref} = spawn_monitor(fun() -> part(Part, list_to_integer(Children)) end),
    receive
        {'DOWN', Ref, process, Pid, normal} -> erlang:halt(0);
        {'DOWN', Ref, process, Pid, Reason} ->
            io:format(standard_error, "~s: ~p~n", [Part, Reason]),
            erlang:halt(1)
    end.

part("start", Children) -> logger_off(), start(Children);
part("start_named", Children) -> logger_off(), start_named(Children);
part("tell", _) -> logger_off(), tell();
part("tell_child", _) -> logger_off(), tell_child();
part("ask", _) -> logger_off(), ask();
part("ask_child", _) -> logger_off(), ask_child();
part("crash", _) -> logger_off(), crash("crash");
part("crash_reported", _) -> logger_to(fun(_) -> ok end), crash("crash_reported");
part("crash_logged", _) -> logger_to(formatter()), crash("crash_logged");
part("mass_crash", Children) -> logger_off(), mass_crash("mass_crash", Children, ?SHARD);
part("mass_crash_one", Children) -> logger_off(), mass_crash("mass_crash_one", Children, Children).

%% Start and memory.

start(Children) ->
    Sup = supervisor(self(), quiet),
    Before = resident(),
    Began = now_ns(),
    Pids = children(Sup, Children),
    metric("start", "us", since(Began) / Children / 1000),
    timer:sleep(1000),
    metric("memory", "B", (resident() - Before) / Children),
    [begin ok = gen_server:call(Pid, add), ok = gen_server:call(Pid, add) end || Pid <- Pids],
    timer:sleep(1000),
    metric("memory_used", "B", (resident() - Before) / Children),
    stop(Sup).

%% The same under a supervisor that knows its children by name, as ours does.
start_named(Children) ->
    {ok, Sup} = supervisor:start_link(?MODULE, named),
    Before = resident(),
    Began = now_ns(),
    [begin
         Spec = #{id => Number, start => {?MODULE, start_counter, [nobody]}},
         {ok, _} = supervisor:start_child(Sup, Spec)
     end || Number <- lists:seq(1, Children)],
    metric("start_named", "us", since(Began) / Children / 1000),
    timer:sleep(1000),
    metric("memory_named", "B", (resident() - Before) / Children),
    stop(Sup).

%% Messages.

tell() ->
    {Sup, Pid} = one(),
    tell_batches(Pid, ?BATCHES div ?WARM_UP),
    Began = now_ns(),
    tell_batches(Pid, ?BATCHES),
    metric("tell", "ns", since(Began) / (?BATCH * ?BATCHES)),
    told(Pid),
    stop(Sup).

tell_batches(_, 0) -> ok;
tell_batches(Pid, Left) ->
    tells(Pid, ?BATCH),
    gen_server:call(Pid, get),
    tell_batches(Pid, Left - 1).

tells(_, 0) -> ok;
tells(Pid, Left) ->
    gen_server:cast(Pid, add),
    tells(Pid, Left - 1).

told(Pid) ->
    Told = ?BATCH * (?BATCHES + ?BATCHES div ?WARM_UP),
    Told = gen_server:call(Pid, get).

tell_child() ->
    {Sup, Pid} = one(),
    {ok, Talker} = supervisor:start_child(Sup, []),
    Times = fun(Count) -> [gen_server:call(Talker, {tell, Pid, ?BATCH}) || _ <- lists:seq(1, Count)] end,
    Times(?BATCHES div ?WARM_UP),
    Began = now_ns(),
    Times(?BATCHES),
    metric("tell_child", "ns", since(Began) / (?BATCH * ?BATCHES)),
    told(Pid),
    stop(Sup).

ask() ->
    {Sup, Pid} = one(),
    asks(Pid, ?ASKS div ?WARM_UP),
    Began = now_ns(),
    asks(Pid, ?ASKS),
    metric("ask", "us", since(Began) / ?ASKS / 1000),
    stop(Sup).

ask_child() ->
    {Sup, Pid} = one(),
    {ok, Talker} = supervisor:start_child(Sup, []),
    ok = gen_server:call(Talker, {ask, Pid, ?ASKS div ?WARM_UP}, infinity),
    Began = now_ns(),
    ok = gen_server:call(Talker, {ask, Pid, ?ASKS}, infinity),
    metric("ask_child", "us", since(Began) / ?ASKS / 1000),
    stop(Sup).

asks(_, 0) -> ok;
asks(Pid, Left) ->
    gen_server:call(Pid, get),
    asks(Pid, Left - 1).

%% Crashes; each round has a new supervisor.

crash(Metric) ->
    [crash_round() || _ <- lists:seq(1, ?ROUNDS div ?WARM_UP)],
    Took = lists:sum([crash_round() || _ <- lists:seq(1, ?ROUNDS)]),
    metric(Metric, "us", Took / (?ROUNDS * ?CRASHES) / 1000).

crash_round() ->
    Sup = supervisor(self(), loud),
    [Pid] = children(Sup, 1),
    Pid = up(),
    0 = gen_server:call(Pid, get),
    Began = now_ns(),
    crashes(Pid, ?CRASHES),
    Took = since(Began),
    stop(Sup),
    Took.

%% The new instance says that it is up: asking for it by name until it is there would cost more.
crashes(_, 0) -> ok;
crashes(Pid, Left) ->
    gen_server:cast(Pid, crash),
    Next = up(),
    0 = gen_server:call(Next, get),
    crashes(Next, Left - 1).

mass_crash(Metric, Children, Shard) ->
    Sups = [supervisor(self(), loud) || _ <- lists:seq(1, Children div Shard)],
    Pids = lists:append([children(Sup, Shard) || Sup <- Sups]),
    [_ = up() || _ <- Pids],
    Began = now_ns(),
    [gen_server:cast(Pid, crash) || Pid <- Pids],
    Next = [up() || _ <- Pids],
    [0 = gen_server:call(Pid, get) || Pid <- Next],
    metric(Metric, "us", since(Began) / length(Pids) / 1000),
    [stop(Sup) || Sup <- Sups].

up() ->
    receive {up, Pid} -> Pid after 60000 -> exit(nobody_came_up) end.

%% Supervisors.

one() ->
    Sup = supervisor(self(), quiet),
    [Pid] = children(Sup, 1),
    {Sup, Pid}.

supervisor(Owner, Loudness) ->
    {ok, Sup} = supervisor:start_link(?MODULE, {Owner, Loudness}),
    Sup.

children(Sup, Count) ->
    [begin {ok, Pid} = supervisor:start_child(Sup, []), Pid end || _ <- lists:seq(1, Count)].

stop(Sup) ->
    unlink(Sup),
    Ref = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Ref, process, Sup, _} -> ok end.

start_counter(nobody) -> gen_server:start_link(counter, nobody, []);
start_counter(Owner) -> gen_server:start_link(counter, Owner, []).

start_counter(_Owner, quiet) -> start_counter(nobody);
start_counter(Owner, loud) -> start_counter(Owner).

init(named) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1}, []}};
init({Owner, Loudness}) ->
    Child = #{id => counter, start => {?MODULE, start_counter, [Owner, Loudness]}, restart => permanent},
    {ok, {#{strategy => simple_one_for_one, intensity => 1000000, period => 1}, [Child]}}.

%% Logging.

logger_off() ->
    ok = logger:set_primary_config(level, none).

%% The default reports go to a handler that calls the function, and nowhere else.
logger_to(Take) ->
    ok = logger:remove_handler(default),
    ok = logger:add_handler(nowhere, ?MODULE, #{config => Take}).

%% Formats reports as the default handler does, and throws the text away.
formatter() ->
    {ok, #{formatter := {Module, Config}}} = logger:get_handler_config(default),
    fun(Event) -> Module:format(Event, Config) end.

log(Event, #{config := Take}) ->
    _ = Take(Event),
    ok.

%% The clock, the process's memory, and the report.

now_ns() -> erlang:monotonic_time(nanosecond).

since(Began) -> now_ns() - Began.

%% VmRSS of proc(5).
resident() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, "VmRSS:\\s+(\\d+)", [{capture, all_but_first, list}]),
    list_to_integer(KiB) * 1024.

metric(Name, Unit, Value) ->
    io:format("~s\t~s\t~.4f~n", [Name, Unit, float(Value)]).
