package audit

import (
	"errors"
	"strconv"

	"github.com/coreos/go-systemd/v22/journal"
)

// JournalSocket is where the journal listens; a sandbox must let datagrams go there.
const JournalSocket = "/run/systemd/journal/socket"

// ErrNoJournal reports a system without systemd's journal.
var ErrNoJournal = errors.New("audit: there is no journal at " + JournalSocket + "; write to a file or to standard error")

// Journal returns a sink that writes to the journal of systemd: every record is a message,
// whose text is the record as JSON, of the priority notice if the call was refused and
// info otherwise. So that journalctl(1) finds them, the fields CREDRPC_EVENT,
// CREDRPC_OUTCOME, CREDRPC_REASON, CREDRPC_RULE, CREDRPC_PEER_UID and CREDRPC_PEER_PID hold
// what the record says. Returns [ErrNoJournal].
func Journal() (Sink, error) {
	if !journal.Enabled() { // it also makes the socket, before a sandbox
		return nil, ErrNoJournal
	}
	return systemd{}, nil
}

// systemd is the journal; the package's socket is the process's.
type systemd struct{}

func (systemd) write(batch []line) (int, error) {
	for i, l := range batch {
		priority := journal.PriInfo
		if l.record.Reason != "" {
			priority = journal.PriNotice
		}
		if err := journal.Send(string(l.text[:len(l.text)-1]), priority, l.record.fields()); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}

// fields are what the journal indexes.
func (r *Record) fields() map[string]string {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "credrpc-audit", "CREDRPC_EVENT": r.Event}
	for name, value := range map[string]string{"OUTCOME": r.Outcome, "REASON": r.Reason, "RULE": r.Rule} {
		if value != "" {
			fields["CREDRPC_"+name] = value
		}
	}
	if r.Peer != nil {
		fields["CREDRPC_PEER_UID"] = strconv.FormatUint(uint64(r.Peer.UID), 10)
		fields["CREDRPC_PEER_PID"] = strconv.Itoa(r.Peer.PID)
	}
	return fields
}

func (systemd) reopen() error { return nil }
func (systemd) close() error  { return nil }
