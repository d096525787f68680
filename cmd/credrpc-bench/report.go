package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"credrpc/bench/page"
)

// defaultPage is where the page goes if nothing says what is wanted.
const defaultPage = "report.html"

// A reportCommand shows result files.
type reportCommand struct {
	Results  []string `arg:"" name:"result" help:"Result files, which other commands write with --json."`
	Out      string   `placeholder:"FILE" help:"Write the page to FILE. Without --out, --plots and --markdown it is written to report.html."`
	Plots    string   `placeholder:"DIR" help:"Write every plot to DIR, as SVG and PNG. DIR is made; files of the same names are replaced."`
	Markdown bool     `help:"Print the table of the README, of results that compare servers with the floor or the reference, as those of quick and suite do."`
}

// Help is what --help shows besides the flags.
func (c *reportCommand) Help() string {
	return `The page is one file, refers to nothing outside itself and has no script. It has the findings, then each report with its plots and figures, then the machine and the command that repeats it. If one of the files cannot be read nothing is written.

Several files become sections of one page, whatever they are of. To compare two of them, see compare.`
}

// A product is a file that will be written.
type product struct {
	path string
	data []byte
}

// Run shows the files. It makes everything before it writes anything, and replaces
// files only when they are whole.
func (c *reportCommand) Run() error {
	if c.Out == "" && c.Plots == "" && !c.Markdown {
		c.Out = defaultPage
	}
	sources, err := page.Read(c.Results)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	if c.Markdown {
		if err := page.WriteMarkdown(&table, sources); err != nil {
			return err
		}
	}
	outputs, err := c.outputs(sources)
	if err != nil {
		return err
	}
	if c.Plots != "" {
		if err := os.MkdirAll(c.Plots, 0o777); err != nil {
			return err
		}
	}
	for _, o := range outputs {
		if err := replaceFile(o.path, o.data); err != nil {
			return err
		}
	}
	if c.Out == defaultPage {
		fmt.Fprintln(os.Stderr, "wrote", defaultPage)
	}
	_, err = os.Stdout.Write(table.Bytes())
	return err
}

// outputs makes the page and the plots.
func (c *reportCommand) outputs(sources []page.Source) (outputs []product, err error) {
	if c.Out == "" && c.Plots == "" {
		return nil, nil
	}
	p, err := page.New(sources)
	if err != nil {
		return nil, err
	}
	if c.Out != "" {
		var b bytes.Buffer
		if err := p.WriteHTML(&b); err != nil {
			return nil, err
		}
		outputs = append(outputs, product{c.Out, b.Bytes()})
	}
	if c.Plots == "" {
		return outputs, nil
	}
	for _, plot := range p.Plots() {
		png, err := plot.PNG()
		if err != nil {
			return nil, err
		}
		path := filepath.Join(c.Plots, plot.Name)
		outputs = append(outputs, product{path + ".svg", plot.SVG()}, product{path + ".png", png})
	}
	return outputs, nil
}
