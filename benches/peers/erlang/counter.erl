%% A gen_server whose state is one number; it can crash, and talk to another one.
-module(counter).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

init(nobody) ->
    {ok, 0};
init(Owner) ->
    Owner ! {up, self()},
    {ok, 0}.

handle_call(get, _From, Count) ->
    {reply, Count, Count};
handle_call(add, _From, Count) ->
    {reply, ok, Count + 1};
handle_call({tell, Pid, Times}, From, Count) ->
    tells(Pid, Times),
    gen_server:cast(Pid, {report, From}),
    {noreply, Count};
handle_call({ask, Pid, Times}, _From, Count) ->
    asks(Pid, Times),
    {reply, ok, Count}.

handle_cast(add, Count) ->
    {noreply, Count + 1};
handle_cast({report, From}, Count) ->
    gen_server:reply(From, Count),
    {noreply, Count};
handle_cast(crash, Count) ->
    error({asked_to_crash, Count}).

tells(_, 0) -> ok;
tells(Pid, Left) ->
    gen_server:cast(Pid, add),
    tells(Pid, Left - 1).

asks(_, 0) -> ok;
asks(Pid, Left) ->
    gen_server:call(Pid, get),
    asks(Pid, Left - 1).
