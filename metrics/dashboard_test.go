package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDashboard checks that the dashboard only asks for what is exported, and for all of
// that, and only from the data source that was chosen.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../deploy/grafana/credrpc.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	w := watch(t)
	w.call(t, "hello")
	_, exposed := w.get(t, http.MethodGet, "/metrics")
	name := regexp.MustCompile(`\b(?:credrpc|go|process)_[a-z_]+`)
	asked := make(map[string]bool)
	walk(dashboard, func(key string, value any) {
		expression, isText := value.(string)
		switch {
		case isText && (key == "expr" || key == "query"):
			for _, series := range name.FindAllString(expression, -1) {
				asked[series] = true
				if !strings.Contains(exposed, "\n"+series+" ") && !strings.Contains(exposed, "\n"+series+"{") {
					t.Errorf("%s is not exported: %s", series, expression)
				}
			}
		case key == "datasource":
			if source, ok := value.(map[string]any); !ok || source["uid"] != "${datasource}" || source["type"] != "prometheus" {
				t.Errorf("the data source is fixed: %v", value)
			}
		}
	})
	for _, f := range families() {
		series := prefix + f.name
		if f.kind == histogram {
			series += "_bucket"
		}
		if !asked[series] {
			t.Errorf("%s is nowhere on the dashboard", series)
		}
	}
	ids := make(map[any]bool)
	for _, panel := range dashboard.(map[string]any)["panels"].([]any) {
		id := panel.(map[string]any)["id"]
		if ids[id] {
			t.Errorf("two panels have the id %v", id)
		}
		ids[id] = true
	}
}

// TestExpressions has Prometheus's own tool parse what the dashboard asks, and what
// docs/METRICS.md says to alert on.
func TestExpressions(t *testing.T) {
	promtool := findPromtool(t)
	text, err := os.ReadFile("../deploy/grafana/credrpc.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record     string `json:"record"`
		Expression string `json:"expr"`
	}
	var rules []rule
	add := func(expression string) {
		rules = append(rules, rule{fmt.Sprintf("expression:%d", len(rules)), strings.ReplaceAll(expression, "$__rate_interval", "5m")})
	}
	walk(dashboard, func(key string, value any) {
		if key == "expr" {
			add(value.(string))
		}
	})
	document, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile("(?m)^\\| `([a-z]+\\(.*)` \\|").FindAllSubmatch(document, -1)
	for _, alert := range alerts {
		add(strings.ReplaceAll(string(alert[1]), `\|`, "|"))
	}
	if len(alerts) < 5 || len(rules) < 30 {
		t.Errorf("only %d expressions, %d of them alerts", len(rules), len(alerts))
	}
	file := filepath.Join(t.TempDir(), "rules.yml") // JSON is YAML
	text, err = json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "all", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// walk calls f for all members of objects in value.
func walk(value any, f func(key string, value any)) {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			f(key, member)
			walk(member, f)
		}
	case []any:
		for _, element := range value {
			walk(element, f)
		}
	}
}
