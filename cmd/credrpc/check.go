package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"credrpc/accessdb"
)

type checkCommand struct {
	Rules      string `required:"" placeholder:"PATH" help:"Rules directory or rules file."`
	UID        string `name:"uid" required:"" placeholder:"USER" help:"User of the caller, by name or number."`
	GID        string `name:"gid" placeholder:"GROUP" help:"Group of the caller, by name or number (the user's primary group)."`
	SelfUID    string `name:"self-uid" placeholder:"USER" help:"User that the server runs as, for the rule uid/self and for --identity (the one who runs this)."`
	SelfGID    string `name:"self-gid" placeholder:"GROUP" help:"Group that the server runs as, likewise."`
	Identity   bool   `help:"Accept a caller with user and group of the server, whatever the rules say."`
	Compatible bool   `help:"Do as s6 with records that are not in order: pass them over, or refuse only those they apply to."`
	JSON       bool   `name:"json" help:"Print one JSON object."`
}

// Help describes the answer.
func (*checkCommand) Help() string {
	return `Exit status: 0 allowed, 1 denied, 111 the rules are wrong or cannot be read, which a server refuses too.

The rules are read with the rights of whoever runs this, which may be more than the server has.

With --json one object:

    rules     the path
    caller    uid, gid
    self      uid, gid of the server
    decision  allow, deny, or not found: no rule decides, which denies
    key       the rule that decided; absent if none did
    tried     list of key, decision, and error if reading failed there
    env       list of name and value, or of name and unset; absent if empty
    exec      command line to run instead of the program; absent if none
    error     why the rules could not be read; absent if they could

Text that is not UTF-8 is an object with the member base64.`
}

// checkAnswer is what is known of a caller, and what --json prints.
type checkAnswer struct {
	Rules    ruleText          `json:"rules"`
	Caller   checkIDs          `json:"caller"`
	Self     checkIDs          `json:"self"`
	Decision accessdb.Decision `json:"decision"`
	Key      accessdb.Key      `json:"key,omitzero"`
	Tried    []checkAttempt    `json:"tried"`
	Env      []ruleVariable    `json:"env,omitempty"`
	Exec     ruleText          `json:"exec,omitempty"`
	Error    ruleText          `json:"error,omitempty"`
}

type checkIDs struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

type checkAttempt struct {
	Key      accessdb.Key      `json:"key"`
	Decision accessdb.Decision `json:"decision"`
	Error    ruleText          `json:"error,omitempty"`
}

// Run asks the rules and prints the answer.
func (c *checkCommand) Run(s streams) error {
	if c.Rules == "" {
		return usageError("--rules: is empty")
	}
	caller, err := c.caller()
	if err != nil {
		return err
	}
	self, err := c.self()
	if err != nil {
		return err
	}
	result, tried, failure := c.ask(caller, self)
	answer := checkAnswer{
		Rules: ruleText(c.Rules), Caller: caller, Self: self,
		Decision: result.Decision, Key: result.Key, Tried: []checkAttempt{},
		Env: variables(result.Env), Exec: ruleText(result.Exec), Error: errorText(failure),
	}
	for _, attempt := range tried {
		answer.Tried = append(answer.Tried, checkAttempt{attempt.Key, attempt.Decision, errorText(attempt.Err)})
	}
	if err := c.print(s, &answer); err != nil {
		return systemError(err)
	}
	switch {
	case failure != nil:
		return systemError(failure)
	case result.Decision != accessdb.Allow:
		return &exitError{status: exitFailed}
	}
	return nil
}

// ask opens the rules, as a server would, and has them explain their answer.
func (c *checkCommand) ask(caller, self checkIDs) (accessdb.Result, []accessdb.Attempt, error) {
	db, err := accessdb.Open(c.Rules, accessdb.Options{
		Identity:     c.Identity,
		Self:         &accessdb.IDs{UID: self.UID, GID: self.GID},
		Compatible:   c.Compatible,
		CacheSize:    -1,
		PollInterval: -1,
	})
	if err != nil {
		return accessdb.Result{}, nil, err
	}
	defer db.Close()
	return db.Explain(caller.UID, caller.GID)
}

// caller returns the ids to ask for.
func (c *checkCommand) caller() (ids checkIDs, err error) {
	uid, err := userID("--uid", c.UID)
	if err != nil {
		return ids, err
	}
	if uid == nil {
		return ids, usageError("--uid: is empty")
	}
	gid, err := groupID("--gid", c.GID)
	if err != nil {
		return ids, err
	}
	if gid == nil {
		primary, known := primaryGroup(c.UID)
		if !known {
			return ids, usageError("--gid: is needed, since user %q is not known and has no primary group", c.UID)
		}
		gid = &primary
	}
	return checkIDs{UID: *uid, GID: *gid}, nil
}

// self returns the ids of the server.
func (c *checkCommand) self() (ids checkIDs, err error) {
	ids = checkIDs{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	uid, err := userID("--self-uid", c.SelfUID)
	if err != nil {
		return ids, err
	}
	gid, err := groupID("--self-gid", c.SelfGID)
	if err != nil {
		return ids, err
	}
	if uid != nil {
		ids.UID = *uid
	}
	if gid != nil {
		ids.GID = *gid
	}
	return ids, nil
}

func (c *checkCommand) print(s streams, answer *checkAnswer) error {
	if c.JSON {
		return json.NewEncoder(s.out).Encode(answer)
	}
	_, err := s.out.Write(answer.text())
	return err
}

// text describes the answer for people.
func (a *checkAnswer) text() []byte {
	var b bytes.Buffer
	switch {
	case a.Error != "":
		fmt.Fprintln(&b, "deny: the rules could not be read")
	case a.Decision == accessdb.NotFound:
		fmt.Fprintln(&b, "deny: no rule decides")
	default:
		fmt.Fprintf(&b, "%v by %v\n", a.Decision, a.Key)
	}
	fmt.Fprintf(&b, "caller  uid %d, gid %d\n", a.Caller.UID, a.Caller.GID)
	fmt.Fprintf(&b, "self    uid %d, gid %d\n", a.Self.UID, a.Self.GID)
	for _, attempt := range a.Tried {
		fmt.Fprintf(&b, "tried   %-16v ", attempt.Key)
		if attempt.Error != "" {
			fmt.Fprintf(&b, "error: %s\n", oneLine(string(attempt.Error)))
		} else {
			fmt.Fprintln(&b, outcome(attempt.Decision, nil))
		}
	}
	for _, v := range a.Env {
		if v.Unset {
			fmt.Fprintf(&b, "env     unset %s\n", word(string(v.Name)))
		} else {
			fmt.Fprintf(&b, "env     set %s=%q\n", word(string(v.Name)), string(*v.Value))
		}
	}
	if a.Exec != "" {
		fmt.Fprintf(&b, "exec    %q\n", string(a.Exec))
	}
	return b.Bytes()
}
