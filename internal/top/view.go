package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A model is what the screen shows.
type model struct {
	place    string // where the server is asked
	every    time.Duration
	interval *Interval // the last one, or nil
	failure  string    // why there is no answer, or ""
	since    time.Time // there is none
	paused   bool
	order    order
	name     func(uid *uint32) string
}

// An order is by what users are sorted.
type order int

const (
	byCalls order = iota
	byRefused
	byInFlight
	byMean
	byUID

	orders int = iota
)

func (o order) String() string {
	return [orders]string{"calls/s", "refused/s", "in flight", "mean", "uid"}[o]
}

// A row is one line of the screen.
type row struct {
	text          string
	bold, reverse bool
}

// view returns the screen, at most height rows of at most width characters.
func (m *model) view(width, height int) []row {
	if width < 1 || height < 1 {
		return nil
	}
	rows := []row{{text: m.title(width), reverse: true}}
	if m.interval != nil {
		rows = append(rows, m.body(width, height-2)...)
	}
	for len(rows) < height-1 {
		rows = append(rows, row{})
	}
	if height > 1 {
		rows = append(rows, m.foot())
	}
	for i := range rows {
		rows[i].text = fit(rows[i].text, width)
		if rows[i].reverse {
			rows[i].text += strings.Repeat(" ", width-utf8.RuneCountInString(rows[i].text))
		}
	}
	return rows
}

// body returns the rows between the first and the last. Users come if there is room for
// two rows about all and for two users.
func (m *model) body(width, height int) (rows []row) {
	const head, least = 1, 2
	summary, users := m.summary(width), m.users(width)
	room := height - head - least
	if room < least {
		return summary[:max(0, min(len(summary), height))]
	}
	rows = summary[:min(len(summary), room)]
	if room > len(summary) {
		rows = append(rows, row{})
	}
	return append(rows, users[:min(len(users), height-len(rows))]...)
}

// title says what is watched. The place gives way to the rest.
func (m *model) title(width int) string {
	if m.interval == nil {
		return " credrpc top  " + m.place
	}
	i := m.interval
	rest := fmt.Sprintf("  up %s  %s ", ageText(i.Uptime), i.Time.Local().Format(time.TimeOnly))
	path := " credrpc top  " + m.place
	if width >= 60 && !i.lacks("pid") {
		rest = fmt.Sprintf("  pid %d", i.PID) + rest
	}
	if room := width - utf8.RuneCountInString(rest); room > 0 {
		path = fit(path, room)
		return path + strings.Repeat(" ", room-utf8.RuneCountInString(path)) + rest
	}
	return path
}

// summary returns the rows above the users, what the server as a whole does. Those come
// first that matter most.
func (m *model) summary(width int) []row {
	i := m.interval
	l := &i.Latency
	quantile := func(d time.Duration) string { return durationText(d, l.Count) }
	rate := func(n uint64) string { return rateText(i.rate(n)) }
	heap := sizeText(float64(i.Process.Heap))
	if i.lacks("process.heap_bytes") {
		heap = "-"
	}
	refused := []string{"refused/s  " + rate(i.refused())}
	for _, reason := range i.reasons() {
		refused = append(refused, reason+" "+rate(i.Refused[reason]))
	}
	rows := [][]string{
		{"calls/s    " + rateText(i.CallsPerSecond), "total " + strconv.FormatUint(i.Totals.Accepted, 10), "answered " + rate(i.Answered), "failed " + rate(i.Failed), "dropped " + rate(i.Dropped), "empty " + rate(i.Empty)},
		{"latency    p50 " + quantile(l.P50), "p99 " + quantile(l.P99), "p99.9 " + quantile(l.P999), "mean " + quantile(l.Sum/time.Duration(max(l.Count, 1)))},
		refused,
		{"in flight  " + strconv.FormatInt(i.InFlight, 10), "delayed/s " + rate(i.Delayed), "timeouts/s " + rate(i.Timeouts), "panics/s " + rate(i.Panics)},
		m.loops(),
		{"cpu        " + i.cpuText(), "heap " + heap, "in/s " + sizeText(i.rate(i.BytesIn)), "out/s " + sizeText(i.rate(i.BytesOut)), m.rules()},
	}
	if len(i.Sockets) > 0 {
		rows = slices.Insert(rows, len(rows)-1, m.sockets())
	}
	var list []row
	for _, fields := range rows {
		list = append(list, row{text: join(fields, width)})
	}
	return list
}

// join returns those of fields that fit, and the first one in any case.
func join(fields []string, width int) string {
	text := fields[0]
	for _, field := range fields[1:] {
		longer := text + "  " + field
		if utf8.RuneCountInString(longer) > width {
			break
		}
		text = longer
	}
	return text
}

// loops returns what each loop does, as part of all.
func (m *model) loops() []string {
	if len(m.interval.Loops) == 0 {
		return []string{"loops      none yet"}
	}
	var fields []string
	for k, l := range m.interval.Loops {
		text := fmt.Sprintf("%d: ", k) + m.part(l.Calls)
		if l.Resting {
			text += " rests"
		}
		fields = append(fields, text)
	}
	fields[0] = "loops      " + fields[0]
	return fields
}

// sockets returns how much each is called, as part of all.
func (m *model) sockets() (fields []string) {
	for _, s := range m.interval.Sockets {
		fields = append(fields, s.Socket+": "+m.part(s.Calls))
	}
	fields[0] = "sockets    " + fields[0]
	return fields
}

// part returns a number of calls as a rate and as part of all.
func (m *model) part(calls uint64) string {
	text := rateText(m.interval.rate(calls)) + "/s"
	if m.interval.Calls > 0 {
		text += fmt.Sprintf(" %.0f%%", 100*float64(calls)/float64(m.interval.Calls))
	}
	return text
}

func (m *model) rules() string {
	r := m.interval.Rules
	switch {
	case r == nil:
		return "no rules"
	case r.Age == 0:
		return "rules in a directory"
	}
	return fmt.Sprintf("rules %d, %s old", r.Records, ageText(r.Age))
}

// users returns the table of users and its head.
func (m *model) users(width int) []row {
	if m.interval.lacks("users") {
		return []row{{text: "users      metrics do not say who calls; credrpc serve --control does", bold: true}}
	}
	list := slices.Clone(m.interval.Users)
	sortUsers(list, m.order)
	cells := [][]string{{"UID", "USER", "CALLS/S", "REFUSED/S", "IN FLIGHT", "MEAN", "TOTAL"}}
	for _, u := range list[:min(len(list), maxShown)] {
		uid := "?"
		if u.UID != nil {
			uid = strconv.FormatUint(uint64(*u.UID), 10)
		}
		cells = append(cells, []string{
			uid, m.name(u.UID), rateText(m.interval.rate(u.Calls)), rateText(m.interval.rate(u.Refused)), strconv.Itoa(u.InFlight),
			durationText(u.Mean, u.Calls-u.Refused), strconv.FormatUint(u.Total, 10),
		})
	}
	rows := table(cells, []int{7, -12, 9, 9, 9, 8, 10}, width)
	rows[0].bold = true
	if len(list) == 0 {
		rows = append(rows, row{text: "   nobody called"})
	}
	return rows
}

// maxShown is more users than a screen has rows.
const maxShown = 200

// table returns cells as rows, of those columns that fit. A negative width means
// flush left.
func table(cells [][]string, widths []int, width int) []row {
	columns, used := 0, 0
	for c, w := range widths {
		for _, line := range cells {
			if n := utf8.RuneCountInString(line[c]); w > 0 {
				w = max(w, n)
			} else {
				w = -max(-w, min(n, 20))
			}
		}
		widths[c] = w
		if used += max(w, -w) + 1; used-1 > width && c > 0 {
			break
		}
		columns++
	}
	rows := make([]row, len(cells))
	for i, line := range cells {
		for c := range columns {
			text := line[c]
			if widths[c] < 0 {
				text = fit(text, -widths[c])
			}
			rows[i].text += fmt.Sprintf("%*s ", widths[c], text)
		}
		rows[i].text = strings.TrimRight(rows[i].text, " ")
	}
	return rows
}

// foot says what there is to type, or what is wrong.
func (m *model) foot() row {
	sorted := "   s sorted by " + m.order.String()
	if m.interval != nil && m.interval.lacks("users") {
		sorted = ""
	}
	switch {
	case m.failure != "":
		return row{text: fmt.Sprintf(" no answer since %s, trying again: %s", m.since.Format(time.TimeOnly), m.failure), reverse: true, bold: true}
	case m.paused:
		return row{text: " paused   p go on   q quit" + sorted, reverse: true}
	case m.interval == nil:
		return row{text: fmt.Sprintf(" q quit   the first numbers come after %v", m.every)}
	case m.interval.Restarted:
		return row{text: " the server was started anew   q quit"}
	}
	return row{text: fmt.Sprintf(" q quit   p pause%s   every %v", sorted, m.every)}
}

// fit cuts text to width characters.
func fit(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width)])
}

// sortUsers sorts the largest first, or by id.
func sortUsers(list []User, o order) {
	slices.SortFunc(list, func(a, b User) int {
		byID := cmp.Compare(uidOf(a.UID), uidOf(b.UID))
		switch o {
		case byRefused:
			return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(b.Calls, a.Calls), byID)
		case byInFlight:
			return cmp.Or(cmp.Compare(b.InFlight, a.InFlight), cmp.Compare(b.Calls, a.Calls), byID)
		case byMean:
			return cmp.Or(cmp.Compare(b.Mean, a.Mean), byID)
		case byUID:
			return byID
		}
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(b.InFlight, a.InFlight), byID)
	})
}
