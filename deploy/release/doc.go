// Package release tests what deploy/release/build makes: that it is the same bytes
// wherever it is built, what is in the packages, and their life on a system. The race
// detector would find nothing in it.
package release
