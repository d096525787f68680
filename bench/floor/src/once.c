/*
 * once: answers one call on descriptors 0 and 1 and ends, as the program of a
 * UCSPI server. It echoes the payload. What is no request of at most LIMIT bytes
 * gets no answer.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define LIMIT (32 * 1024)

/* The answer: an empty error frame, and the request's frame behind it. */
static unsigned char buf[4 + LIMIT];

int main(void)
{
	size_t have = 0, want = 4;
	uint32_t length;

	while (have < want) {
		ssize_t n = read(0, buf + 4 + have, want - have);

		if (n <= 0)
			return 1;
		have += (size_t)n;
		if (want == 4 && have == 4) {
			memcpy(&length, buf + 4, sizeof length);
			length = ntohl(length);
			if (length > LIMIT - 4)
				return 1;
			want += length;
		}
	}
	return write(1, buf, 4 + have) == (ssize_t)(4 + have) ? 0 : 1;
}
