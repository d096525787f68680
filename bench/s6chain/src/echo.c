/*
 * echo: answers one request of the protocol. Descriptor 0 is the connection, as
 * is 1. The request is one frame, a length of 4 bytes in network byte order and
 * as many bytes, at most LIMIT; the answer is an empty error frame and the same
 * frame. Anything else ends without an answer and with status 1.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT (16u * 1024 * 1024)

static int read_all(unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t r = read(0, p, n);

		if (r <= 0)
			return 0;
		p += r;
		n -= (size_t)r;
	}
	return 1;
}

static int write_all(const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t r = write(1, p, n);

		if (r < 0)
			return 0;
		p += r;
		n -= (size_t)r;
	}
	return 1;
}

int main(void)
{
	unsigned char head[8] = { 0 }, *answer; /* the error frame, the length */
	uint32_t length;

	if (!read_all(head + 4, 4))
		return 1;
	memcpy(&length, head + 4, sizeof length);
	length = ntohl(length);
	if (length > LIMIT)
		return 1;
	answer = malloc(sizeof head + length);
	if (answer == NULL)
		return 1;
	memcpy(answer, head, sizeof head);
	return !(read_all(answer + sizeof head, length) &&
	    write_all(answer, sizeof head + length));
}
