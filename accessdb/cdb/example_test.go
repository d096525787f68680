package cdb_test

import (
	"fmt"
	"os"
	"path/filepath"

	"credrpc/accessdb/cdb"
)

func Example() {
	dir, err := os.MkdirTemp("", "cdb")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	f, err := os.Create(filepath.Join(dir, "capitals.cdb"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	w := cdb.NewWriter(f)
	for _, record := range [][2]string{{"fr", "Paris"}, {"is", "Reykjavík"}, {"fr", "Vichy"}} {
		if err := w.Add([]byte(record[0]), []byte(record[1])); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	data, err := os.ReadFile(f.Name())
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := cdb.NewReader(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	value, ok := r.Find([]byte("fr"))
	fmt.Printf("%s %t\n", value, ok)
	for key, value := range r.All() {
		fmt.Printf("%s=%s\n", key, value)
	}
	// Output:
	// Paris true
	// fr=Paris
	// is=Reykjavík
	// fr=Vichy
}
