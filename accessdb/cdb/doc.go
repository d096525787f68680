// Package cdb reads and writes the constant database of D. J. Bernstein in its
// 32-bit form: a file of keys and values that is written once, front to back,
// and then answers any lookup with two reads.
//
// # Format
//
// All integers are 32 bits, unsigned and little endian. A position counts bytes
// from the start of the file.
//
//	       0  +---------------------------------+
//	          | header: 256 times               |
//	          |   position of hash table, slots |  8 bytes each
//	    2048  +---------------------------------+
//	          | records, in the order of adding |
//	          |   length of key, of value       |  8 bytes
//	          |   key                           |
//	          |   value                         |
//	          +---------------------------------+
//	          | hash table 0                    |
//	          |   slots times                   |
//	          |   hash of key, record position  |  8 bytes each
//	          +---------------------------------+
//	          | hash table 1                    |
//	          | …                               |
//	          | hash table 255                  |
//	size <=   +---------------------------------+
//	2^32 - 1
//
// The hash of a key starts at 5381 and takes in every byte b of it as
// h = (h*33) xor b, modulo 2^32. A key lives in table h mod 256; its search
// begins at slot (h/256) mod slots and goes on slot by slot, around the end of
// the table, to a slot that holds the key. A slot whose record position is 0 is
// empty and ends the search. (A hash may well be 0: that of "ootpwgq" is. Only
// the position says whether a slot is empty.) Writers give a table twice as many
// slots as it has records, so a search ends after one or two steps.
//
// A key may be added more than once; [Reader.Find] answers with the record that
// was added first. Keys and values may be empty and may hold any byte.
//
// # Text
//
// The programs cdbmake and cdbdump, and cdb -c and cdb -d of tinycdb, exchange
// records as text, the lengths in decimal and the last line empty:
//
//	+length of key,length of value:key->value
//
// A [TextReader] reads it. Where cdb -c ignores what follows the empty line, it
// refuses it, since of two texts in a row the second would be lost.
//
// # Who owns what
//
// A [Reader] works on a byte slice that its caller provides, usually a mapping,
// and holds nothing else. The slice must not change while the Reader or anything
// it returned is in use. A Reader is safe for concurrent use. A [Writer] belongs
// to one goroutine and writes to a file that stays its caller's to sync and to
// close. A TextReader belongs to one goroutine and keeps the record it returned
// last until it is asked for the next.
//
// # Trust
//
// [NewReader] believes nothing. It accepts a file only when records and tables
// fill it without gap or overlap, when the tables list exactly the records that
// exist, each under its own hash, and when a search from the hash of every key
// meets its record before an empty slot. A file is refused with any single bit
// flipped that a search depends on, or with its end missing. Not looked at are the
// positions of tables without slots, the hashes in empty slots, and the bytes of
// values.
//
// [FindAt] is for who asks once and cannot pay for that: it takes an unverified file,
// reads a few hundred bytes of it, and sees only the damage that it meets.
package cdb
