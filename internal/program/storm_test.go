package program

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"credrpc/server"

	"golang.org/x/sys/unix"
)

// A stormCall is something that a caller of TestStorm does.
type stormCall struct {
	name   string
	weight int
	make   func(random *rand.Rand) (request string, hangUpAfter time.Duration)
	want   func(request, answer, text string) bool
}

// never is for callers that do not hang up.
const never = time.Duration(-1)

// patientCall is a call whose caller waits for the answer.
func patientCall(request func(random *rand.Rand) string) func(*rand.Rand) (string, time.Duration) {
	return func(random *rand.Rand) (string, time.Duration) { return request(random), never }
}

// impatientCall is a call whose caller hangs up soon.
func impatientCall(request string) func(*rand.Rand) (string, time.Duration) {
	return func(random *rand.Rand) (string, time.Duration) {
		return request, time.Duration(random.Int64N(int64(20 * time.Millisecond)))
	}
}

func filler(random *rand.Rand, most int) string {
	return strings.Repeat(string(rune('a'+random.IntN(26))), random.IntN(most))
}

// tooLong is what happens at the deadline.
const tooLong = "the call took too long"

// stormCalls are what the callers choose from.
func stormCalls() []stormCall {
	sameAnswer := func(request, answer, text string) bool { return text == "" && answer == request[1:] }
	tellsSo := func(want string) func(_, _, text string) bool {
		return func(_, _, text string) bool { return text == want }
	}
	hungUp := func(_, answer, text string) bool { return answer == "" && text == "" }
	return []stormCall{
		{"echo", 300, patientCall(func(r *rand.Rand) string { return "e" + filler(r, 1000) }), sameAnswer},
		{"echo of much", 60, patientCall(func(r *rand.Rand) string { return "e" + filler(r, 100_000) }), sameAnswer},
		{"fails", 100, patientCall(func(r *rand.Rand) string { return "x\x07it failed\n" + filler(r, 5000) }), tellsSo("it failed")},
		{"kills itself", 100, patientCall(func(*rand.Rand) string { return "k\x09" }), tellsSo("the program was killed by SIGKILL")},
		{"output without end", 100, patientCall(func(*rand.Rand) string { return "o" }), tellsSo("the program's output is too large")},
		{"leaves a child", 80, patientCall(func(r *rand.Rand) string { return "f" + filler(r, 1000) }), sameAnswer},
		{"leaves a child in another session", 40, patientCall(func(r *rand.Rand) string { return "S" + filler(r, 1000) }), sameAnswer},
		{"descriptors", 60, patientCall(func(*rand.Rand) string { return "d" }), func(_, answer, text string) bool { return text == "" && answer == "0 1 2 " }},
		{"sleeps, and the caller hangs up", 80, impatientCall("s"), hungUp},
		{"a group, and the caller hangs up", 60, impatientCall("g"), hungUp},
		{"a request that is not read, and the caller hangs up", 16, impatientCall("s" + strings.Repeat("x", 200_000)), hungUp},
		{"sleeps until the deadline", 4, patientCall(func(*rand.Rand) string { return "g" }), tellsSo(tooLong)},
	}
}

// pick chooses by weight.
func pick(calls []stormCall, random *rand.Rand) *stormCall {
	total := 0
	for i := range calls {
		total += calls[i].weight
	}
	n := random.IntN(total)
	for i := range calls {
		if n -= calls[i].weight; n < 0 {
			return &calls[i]
		}
	}
	panic("unreachable")
}

// TestStorm has many callers call at once, ten thousand times in all, with programs
// that do whatever a program can do, callers that hang up and somebody who kills
// programs. Every caller is told what happened, in time, and nothing is left.
func TestStorm(t *testing.T) {
	const callers, deadline = 32, 3 * time.Second
	total := int64(10_000)
	if testing.Short() {
		total = 500
	}
	srv := &server.Server{CallTimeout: deadline, MaxResponse: 200_000}
	path := serve(t, srv, Config{MaxPrograms: 12, MaxOutput: 200_000})
	call(t, path, "e") // opens what is opened once
	descriptors := openDescriptors(t)
	calls := stormCalls()

	var made, killed, slow atomic.Int64
	var mu sync.Mutex
	counts := make(map[string]int) // guarded by mu
	stopKilling := make(chan struct{})
	var killer, group sync.WaitGroup
	killer.Go(func() { killed.Store(killPrograms(stopKilling)) })
	for seed := range uint64(callers) {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, 10_000))
			for made.Add(1) <= total && !t.Failed() {
				c := pick(calls, random)
				request, hangUpAfter := c.make(random)
				begin := time.Now()
				outcome := stormOutcome(t, path, c, request, hangUpAfter)
				if elapsed := time.Since(begin); elapsed > deadline {
					slow.Add(1)
					if elapsed > deadline+patience/2 {
						t.Errorf("%s: answered after %v", c.name, elapsed)
					}
				}
				mu.Lock()
				counts[outcome]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	close(stopKilling)
	killer.Wait()
	nothingLeft(t)
	eventually(t, "nothing is in flight", func() bool { return srv.Stats().InFlight == 0 })
	eventually(t, "no descriptor is left", func() bool { return openDescriptors(t) <= descriptors })
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%5d %s", counts[outcome], outcome)
	}
	t.Logf("%d programs killed from outside, %d callers answered after %v", killed.Load(), slow.Load(), deadline)
	if !testing.Short() && (killed.Load() < 20 || len(counts) < len(calls)+1) {
		t.Error("too little happened to show anything")
	}
}

// stormOutcome makes the call c and says what came of it. It fails the test if that
// is neither what c wants, nor what somebody who kills or a deadline explains.
func stormOutcome(t *testing.T, path string, c *stormCall, request string, hangUpAfter time.Duration) string {
	ctx := t.Context()
	if hangUpAfter != never {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hangUpAfter)
		defer cancel()
	}
	answer, err := callUntil(ctx, path, request)
	text := remoteText(err)
	switch {
	case err != nil && text == "" && ctx.Err() == nil:
		t.Errorf("%s: %v", c.name, err)
	case text == tooLong:
		return tooLong
	case c.want(request, answer, text):
		return c.name
	case text == "the program was killed by SIGKILL":
		return text
	default:
		t.Errorf("%s: %d bytes, %v", c.name, len(answer), err)
	}
	return "wrong"
}

// killPrograms looks at this process's children every few milliseconds until stop is
// closed, and kills one that it has not seen before, so that those survive which wait
// for their deadline. It returns how many it has killed.
func killPrograms(stop <-chan struct{}) (killed int64) {
	var seen []process
	for {
		select {
		case <-stop:
			return killed
		case <-time.After(20 * time.Millisecond):
		}
		all := children()
		for _, p := range all {
			known := slices.ContainsFunc(seen, func(other process) bool { return other.pid == p.pid })
			if !known && killChild(p.pid) {
				killed++
				break
			}
		}
		seen = all
	}
}

// killChild kills the child pid, and nobody else who may have that number by now.
func killChild(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	p, ok := readProcess(pid)
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || exe != tool.path {
		return false // between fork and exec
	}
	return ok && p.parent == os.Getpid() && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}
