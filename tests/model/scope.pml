/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a scope with a nested one: who may touch what until when, and that it ends.
 *
 * Two threads share one fd, and through it a root scope and, once one of them has made it, a
 * scope nested in it. Three children live in them. Lanes run them, and so does a thread that
 * waits for the root; a reaper frees what nobody waits for. A d_step is what the module does
 * under one hold of a scope's lock, or one step of the workqueue core or of a running child;
 * anything may happen between two of them. What is decided inside of one is looked at by
 * states.c; so are the ring and what happens when it is full, children that are taken together,
 * and who is woken for them. Children that are in the same place are counted, not named.
 *
 * Left out are calls that would change nothing. The first step of a call takes a reference to
 * the file along, and its last one drops it; a moment earlier or later makes a difference only
 * if it is the last, and then the rest of the call is the close.
 *
 * The root scope is kmod/scope.c, lane.c, claim.c, wait.c, batch.c and cancel.c as they are.
 * What nest.c and prune.c do one scope after the other is drawn together for the nested one; tree.c
 * looks at the walks themselves, in trees of three scopes:
 *
 *   - Each scope has a lock of its own, and no two of them are held together.
 *   - A nested scope counts in its parent from the moment it is linked, which happens under the
 *     parent's lock and only while the parent is open, until it has been released, or until it
 *     is closing and its last child has ended. A parent that counts one cannot be released,
 *     because children of the nested scope may borrow from it.
 *   - A cancel closes the parent first, then goes down to what is linked there.
 *   - Whoever ends the last child of a closing nested scope tells the parent, after it has
 *     dropped the nested scope's lock. Whoever ends the last thing that a closing root counts
 *     queues the reaper.
 *   - The tree is freed as a whole, after the lanes of all its scopes have returned.
 *
 * -DBUG_... plants a bug; scope.bugs says what each of them has to break.
 */

#ifndef OPS
#define OPS 2		/* calls that each thread makes, at most */
#endif
#ifndef NR_CHILDREN
#define NR_CHILDREN 3
#endif
#define NR_LANES 3	/* two of the root, one of the nested scope */
#define NR_RUNNERS 5	/* and the two threads, when they help the root */

#define ROOT 0
#define NESTED 1

mtype = { OPEN, CANCELLED, RELEASED };
mtype = { SPAWN, CANCEL, RELEASE, HELP, DONE };

/* scopes */
mtype state[2] = OPEN;
byte outstanding[2];	/* children that have a slot */
byte ready[2];		/* of these, those that a lane can take */
byte doomed[2];		/* of these, those on the list of a canceller */
#ifdef NESTED_FROM_THE_START
byte nested = 1;	/* scopes that the root counts */
bool made = true;	/* the nested scope is there */
#else
byte nested;
bool made;
#endif
bool closing[2];
bool pinned[2] = true;	/* its buffers */
bool freed;		/* structs, lanes, slots: of the whole tree */
bool asleep;		/* the closer is on the root's wait queue, and was not woken */
bool locked;		/* the root's lock is held by somebody who is about to let it go */

/* children, of both scopes */
byte unborn = NR_CHILDREN;
byte accepted, posted;

/* lanes, and threads that help */
bool idle[NR_LANES] = true;
bool pending[NR_LANES];
bool executing[NR_LANES];
bool has_child[NR_RUNNERS];	/* one that is outstanding */
bool told[NR_RUNNERS];		/* that child has been */

/* the fd, and the reaper */
bool fd = true;
byte refs = 1;
bool reap;
byte reaps;

bool cancel_returned;	/* of the root */

#define USE assert(!freed)
#define scope_of(runner) (runner == 2)
#define is_drained(s) (outstanding[s] == 0 && (s == NESTED || nested == 0))
#ifdef BUG_ORDER
#define may_release(s) (state[s] != RELEASED && outstanding[s] == 0)
#else
#define may_release(s) (state[s] != RELEASED && is_drained(s))
#endif
/* A child of the nested scope may borrow from the root as well. */
#define may_touch(runner) (!freed && has_child[runner] && pinned[scope_of(runner)] && pinned[ROOT])

/* Lanes that will look, and helpers. The nested scope has a single lane, and no helpers. */
#define nr_busy (!idle[0] + !idle[1] + has_child[3] + has_child[4])
#define may_kick(s) (s == NESTED || nr_busy < 2)
#define is_served(s) (s == ROOT && nr_busy > 0 || s == NESTED && !idle[2])

inline queue_work(lane)
{
	pending[lane] = true
}

/* kscope_scope_drained(), under the root's lock */
inline drained_root()
{
	if
	:: closing[ROOT] && is_drained(ROOT) ->
		reap = true;
		reaps++;
		assert(reaps == 1)
	:: else
	fi
}

/* kscope_children_end(), under the scope's lock. Sets last: the nested scope has ended. */
inline child_end(scope)
{
	outstanding[scope]--;
	posted++;
	assert(posted <= accepted);
	if
	:: scope == ROOT -> drained_root()
	:: else -> last = closing[NESTED] && is_drained(NESTED)
	fi
}

inline runner_child_end(runner)
{
	assert(has_child[runner]);
	has_child[runner] = false;
	told[runner] = false;
	child_end(scope_of(runner))
}

/* The nested scope has ended, as far as its parent is concerned. Under the parent's lock. */
inline tell_parent()
{
	USE;
	assert(nested == 1);
	nested = 0;
	drained_root()
}

/* kscope_queue_kick() */
inline kick(scope)
{
	l = scope * 2;
	do
	:: l < NR_LANES && scope_of(l) == scope && !idle[l] -> l++
	:: else -> break
	od;
	if
	:: ready[scope] > 0 && may_kick(scope) && l < NR_LANES && scope_of(l) == scope ->
		idle[l] = false;
		queue_work(l)
	:: else
	fi;
	l = 0
}

/* A call returns: ok if that drops the last reference. */
inline leave()
{
	refs--;
	ok = refs == 0
}

/* kscope_batch_reserve(): one child or two, nr of them */
inline reserve(wanted)
{
	d_step {
		USE;
		do
		:: nr < wanted && unborn > 0 ->
			nr++;
			unborn--;
			outstanding[s]++
		:: else -> break
		od
	}
}

/* kscope_batch_publish() or kscope_batch_abort() */
inline publish(accept)
{
	d_step {
		USE;
		do
		:: nr > 0 && (accept) ->
			assert(state[s] == OPEN && !cancel_returned);
			nr--;
			accepted++;
			ready[s]++
		:: nr > 0 && !(accept) ->
			nr--;
			unborn++;
			outstanding[s]--
		:: else -> break
		od;
		kick(s);
		leave()
	}
}

/* child_cancel() of a running one, under the scope's lock */
inline tell(runner)
{
	if
	:: has_child[runner] ->
		told[runner] = true;
#ifdef BUG_ACK
		runner_child_end(runner)
#endif
	:: else
	fi
}

/* The first critical section of kscope_scope_cancel(): the queued ones become mine. */
inline cancel_begin()
{
	d_step {
		USE;
		if
		:: state[s] == OPEN -> state[s] = CANCELLED
		:: else
		fi;
		l = 0;
		do
		:: l < NR_RUNNERS && scope_of(l) == s -> tell(l); l++
		:: l < NR_RUNNERS && scope_of(l) != s -> l++
		:: else -> break
		od;
		l = 0;
		mine = ready[s] > 0;
		doomed[s] = doomed[s] + ready[s];
		ready[s] = 0;
#ifndef BUG_DOWN
		down = s == ROOT && nested
#endif
	}
}

inline end_doomed()
{
	if
	:: doomed[s] > 0 -> doomed[s]--; child_end(s)
	:: else
	fi
}

/* cancel_doomed(), which lets go of the lock now and then */
inline cancel_doomed()
{
	do
	:: d_step { mine -> USE; end_doomed(); mine = doomed[s] > 0 }
	:: else -> break
	od
}

/* What is linked is known from the hold of the root's lock that has closed it. */
inline cancel_goes_on()
{
	cancel_doomed();
	if
	:: down -> s = NESTED; cancel_begin(); cancel_doomed(); s = ROOT
	:: else
	fi
}

/* kscope_scope_end(), after the state is RELEASED */
inline release_goes_on()
{
	if
	:: s == ROOT -> d_step { USE; pinned[s] = false; leave() }
	:: else ->
		d_step { USE; pinned[s] = false };
		d_step { tell_parent(); leave() }
	fi
}

inline create()
{
	d_step { USE; made = true; nested = 1; leave() }
}

/* The operation, until it is done or sees that it has been told; and the end of the child */
inline run_child()
{
	do
#ifdef BUG_STUCK
	:: d_step { assert(may_touch(me)) }
#else
	:: d_step { !told[me] -> assert(may_touch(me)) }
#endif
	:: d_step { assert(may_touch(me)); runner_child_end(me) }; break
	od
}

/* The first critical section of kscope_scope_wait() by somebody who finds a child and a place */
inline help_begins()
{
	d_step {
		USE;
		assert(state[ROOT] == OPEN);
		ready[ROOT]--;
		has_child[me] = true;
		kick(ROOT)
	}
}

/* helper_turn(), with kscope_scope_notify(). Its kick finds no work in so small a world. */
inline help_goes_on()
{
	run_child();
#ifdef BUG_HELPER
	atomic { leave() };
	atomic { USE; asleep = false }
#else
	atomic { USE; asleep = false };
	d_step { leave() }
#endif
}

/* The first critical section of a call; it may be all of it. */
inline call_begins()
{
	if
	:: s = ROOT
	:: made && state[NESTED] != RELEASED -> s = NESTED
	fi;
	if
	:: state[s] == OPEN && unborn > 0 -> reserve(1); what = SPAWN
	:: state[s] == OPEN && unborn > 1 -> reserve(2); what = SPAWN
	:: state[s] == OPEN || s == ROOT && nested -> cancel_begin(); what = CANCEL
	:: ready[s] -> d_step { USE; ready[s]--; child_end(s); leave() }
	:: doomed[s] -> d_step { USE; end_doomed(); leave() }
	:: s == ROOT -> d_step { USE; tell(0); leave() }
	:: s == ROOT -> d_step { USE; tell(1); leave() }
	:: s == ROOT -> d_step { USE; tell(7 - me); leave() }
	:: s == ROOT && ready[ROOT] && nr_busy < 2 -> help_begins(); what = HELP
	:: s == NESTED -> d_step { USE; tell(2); leave() }
#ifdef BUG_RELEASE
	:: may_release(s) -> what = RELEASE
#else
	:: may_release(s) -> d_step { USE; state[s] = RELEASED }; what = RELEASE
#endif
	:: s == ROOT && state[ROOT] == OPEN && !made ->
#ifdef BUG_CREATE
		what = DONE
#else
		create()
#endif
	fi
}

inline call_goes_on()
{
	if
#ifdef BUG_ACCEPT
	:: what == SPAWN -> publish(true)
#else
	:: what == SPAWN -> publish(state[s] == OPEN)
#endif
	:: what == SPAWN -> publish(false)	/* the handles could not be told */
	:: what == CANCEL ->
		cancel_goes_on();
		d_step { cancel_returned = cancel_returned || s == ROOT; down = false; leave() }
	:: what == HELP -> help_goes_on()
	:: what == RELEASE ->
#ifdef BUG_RELEASE
		d_step { USE; state[s] = RELEASED };
#endif
		release_goes_on()
#ifdef BUG_CREATE
	:: what == DONE -> create()
#endif
	:: what == 0
	fi;
	what = 0;
	s = 0
}

/* cancel_work_sync() */
inline lane_stop(l)
{
#ifdef BUG_LANES
	skip
#else
	pending[l] = false;
	!executing[l]
#endif
}

/* scope_free(), of the whole tree. It takes the lock of each scope at least once. */
inline tree_free()
{
#ifndef BUG_NESTED_LANES
	lane_stop(2);
#endif
	lane_stop(0);
	lane_stop(1);
	d_step {
#ifndef BUG_LOCK
		!locked ->
#endif
		USE;
		assert(is_drained(ROOT) && is_drained(NESTED));
		assert(accepted == posted);
		pinned[ROOT] = false;
		pinned[NESTED] = false;
		freed = true
	}
}

/* scope_hand_to_reaper() */
inline hand_over()
{
#if defined(BUG_NEVER)
	d_step { USE; ok = is_drained(ROOT) };
	d_step {
		USE;
		closing[ROOT] = true;
		if
		:: ok -> drained_root()
		:: else
		fi;
		ok = false
	}
#elif defined(BUG_TWICE)
	d_step { USE; closing[ROOT] = true; locked = true };
	d_step { USE; drained_root(); locked = false }
#else
	d_step { USE; closing[ROOT] = true; drained_root(); locked = true };
	d_step { USE; locked = false }
#endif
}

/* wait_event_killable(). Sets ok: the root is drained. */
inline wait_until_drained()
{
	do
	:: killed -> break
#ifdef BUG_WAKE
	:: d_step { USE; ok = is_drained(ROOT) };
	   if
	   :: ok -> break
	   :: else -> d_step { USE; asleep = true }
	   fi;
#else
	:: d_step { USE; asleep = true };
	   d_step { USE; ok = is_drained(ROOT) };
	   if
	   :: ok -> break
	   :: else
	   fi;
#endif
	   if
	   :: !asleep
	   :: killed -> break
	   fi
	od;
	asleep = false
}

inline close_nested()
{
#ifdef BUG_TELL
	d_step { USE; closing[NESTED] = true };
	d_step { USE; last = is_drained(NESTED) };
#else
	d_step { USE; closing[NESTED] = true; last = is_drained(NESTED) };
#endif
	if
	:: last -> d_step { tell_parent(); last = false }
	:: else
	fi
}

/* kscope_scope_close(): by a task that is not killed, or by one that is or that is dying */
inline close()
{
	ok = false;
	cancel_begin();
	cancel_goes_on();
	if
	:: nested -> close_nested()
	:: else
	fi;
	if
	:: killed = true
	:: true
	fi;
	wait_until_drained();
	if
	:: ok -> tree_free()
	:: else -> hand_over()
	fi
}

active [2] proctype user()
{
	byte me = NR_LANES + _pid;
	byte s, l, nr, ops = OPS;
	bool ok, last, down, mine, killed;
	mtype what;

	do
	:: atomic { fd && ops > 0 -> refs++; ops--; call_begins() };
	   call_goes_on();
	   if
	   :: ok -> close()
	   :: else
	   fi
	:: d_step { fd -> fd = false; leave() };
	   if
	   :: ok -> close()
	   :: else
	   fi
	:: !fd -> break
	od
}

/* kscope_scope_notify(). Nobody sleeps on the nested scope. */
inline notify()
{
	d_step {
		USE;
		if
		:: scope_of(me) == ROOT || last -> asleep = false
		:: else
		fi;
		last = false
	}
}

/* The budget is used up. */
inline give_way()
{
	d_step {
		USE;
#ifndef BUG_IDLE
		idle[me] = true;
		kick(scope_of(me))
#endif
	}
}

/* Nobody goes while a child is ready, unless somebody else will look again. */
inline lane_returns()
{
	d_step {
		USE;
#ifdef BUG_IDLE
		idle[me] = !pending[me];
#endif
		assert(!ready[scope_of(me)] || is_served(scope_of(me)));
		executing[me] = false;
	}
}

/* lane_take() */
inline look()
{
	d_step {
		USE;
		if
		:: ready[scope_of(me)] > 0 ->
			assert(state[scope_of(me)] == OPEN);
			ready[scope_of(me)]--;
			has_child[me] = true;
			runs = true;
			kick(scope_of(me))
#ifdef BUG_IDLE
		:: else -> runs = false
#else
		:: else -> runs = false; idle[me] = true
#endif
		fi
	}
}

active [NR_LANES] proctype lane()
{
	byte me = _pid - 2;
	byte l;
	bool runs, last;

end:
	do
	:: d_step { pending[me] -> pending[me] = false; executing[me] = true };
	   do
	   :: look();
	      if
	      :: !runs -> lane_returns(); break
	      :: else
	      fi;
	      run_child();
	      if
	      :: last -> d_step { tell_parent() }
	      :: else
	      fi;
	      notify();
	      if
	      :: true	/* looks for the next one */
	      :: give_way(); lane_returns(); break
	      fi
	   od
	od
}

active proctype reaper()
{
	byte nr;

end:
	do
	:: reap -> reap = false; tree_free()
	od
}

#ifdef LIVENESS
/* Fair to each task, lane and worker. A child that was not told may run for ever. */
ltl ends { [] (refs == 0 -> <> freed) }
#else
/* Nothing can go on any more. */
active proctype rest()
{
	timeout -> assert(freed)
}
#endif
