package control_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"credrpc/control"
	"credrpc/server"
)

// record returns a call of uid that took a millisecond.
func record(uid uint32, outcome server.Outcome) server.CallRecord {
	return server.CallRecord{Peer: server.NewCredentials(1, uid, uid), Outcome: outcome, Duration: time.Millisecond}
}

// TestUsersExact counts as a map does while there are few users, from several
// goroutines.
func TestUsersExact(t *testing.T) {
	users := control.NewUsers()
	const each, workers = 10, 4
	outcomes := []server.Outcome{server.OutcomeAnswered, server.OutcomeFailed, server.OutcomeDropped, server.OutcomeRefused, server.OutcomeEmpty}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for uid := range uint32(8) { // never more than a set takes
				for range each {
					for _, outcome := range outcomes {
						users.Ended(record(uid, outcome))
					}
				}
			}
		})
	}
	wg.Wait()
	list := users.All()
	if len(list) != 8 {
		t.Fatalf("%d users", len(list))
	}
	for i, u := range list {
		want := control.UserCalls{
			UID: uint32(i), Since: u.Since, Duration: 3 * each * workers * time.Millisecond,
			Answered: each * workers, Failed: each * workers, Dropped: each * workers, Refused: each * workers, Empty: each * workers,
		}
		if u != want || u.Mean() != time.Millisecond || time.Since(u.Since) > time.Minute {
			t.Errorf("%+v, want %+v", u, want)
		}
	}
}

// TestUsersBounded has many users call once, and some who call more: these stay, and
// of each is known how many calls may be missing.
func TestUsersBounded(t *testing.T) {
	users := control.NewUsers()
	const strangers, heavy, every = 200000, 20, 100
	calls := make(map[uint32]uint64)
	for i := range uint32(strangers) {
		uid := 1000 + rand.Uint32N(1<<31)
		if i%every == 0 {
			uid = i / every % heavy // a hundred calls each, and strangers one
		}
		calls[uid]++
		users.Ended(record(uid, server.OutcomeAnswered))
	}
	list := users.All()
	if len(list) != control.MaxUsers {
		t.Errorf("%d users are kept, want %d", len(list), control.MaxUsers)
	}
	kept := make(map[uint32]bool)
	for _, u := range list {
		kept[u.UID] = true
		if n := calls[u.UID]; u.Calls() > n || u.Calls()+u.MissedMax < n {
			t.Errorf("uid %d: %d calls and at most %d missed, it made %d", u.UID, u.Calls(), u.MissedMax, n)
		}
	}
	// Half of a set's calls each would surely stay.
	big := control.NewUsers()
	for i := range uint32(strangers / 2) {
		big.Ended(record(1000+rand.Uint32N(1<<31), server.OutcomeAnswered))
		big.Ended(record(i%2, server.OutcomeAnswered))
	}
	top := big.All()
	if a, b := top[0].UID, top[1].UID; a+b != 1 || top[0].Calls() != strangers/4 || top[0].MissedMax > 1 {
		t.Errorf("the two who call most are %+v, %+v", top[0], top[1])
	}
}

// TestUsersWithoutCredentials counts those whom the kernel did not name as one.
func TestUsersWithoutCredentials(t *testing.T) {
	users := control.NewUsers()
	users.Ended(server.CallRecord{Outcome: server.OutcomeRefused})
	if list := users.All(); len(list) != 1 || list[0].UID != server.NoID || list[0].Refused != 1 {
		t.Errorf("%+v", list)
	}
}

// TestUsersAllocateNothing counts on the path of every call.
func TestUsersAllocateNothing(t *testing.T) {
	users, r, uid := control.NewUsers(), record(0, server.OutcomeAnswered), uint32(0)
	if n := testing.AllocsPerRun(2000, func() {
		uid++
		r.Peer = server.NewCredentials(1, uid, uid)
		users.Ended(r)
	}); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// BenchmarkUsersEnded is what counting a user costs each call: one user, a hundred,
// and users who never come twice, each from one goroutine and from all.
func BenchmarkUsersEnded(b *testing.B) {
	for name, users := range map[string]uint32{"users=1": 1, "users=100": 100, "users=new": 1 << 31} {
		b.Run(name+"/loops=1", func(b *testing.B) {
			table, next := control.NewUsers(), rand.Uint32()
			r := record(0, server.OutcomeAnswered)
			for b.Loop() {
				next++
				r.Peer = server.NewCredentials(1, next%users, 0)
				table.Ended(r)
			}
		})
		b.Run(name+"/loops=all", func(b *testing.B) {
			table := control.NewUsers()
			b.RunParallel(func(pb *testing.PB) {
				next, r := rand.Uint32(), record(0, server.OutcomeAnswered)
				for pb.Next() {
					next++
					r.Peer = server.NewCredentials(1, next%users, 0)
					table.Ended(r)
				}
			})
		})
	}
}
