// The container's log in the form of Docker's json-file driver.

#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// A byte becomes at most six (\u00XX); the rest of the object is below 128.
// An argument, as which the attributes come, has at most 128 KiB (execve(2)).
enum { ENCODED_MAX = LINE_MAX_BYTES * 6 + 128, ATTRS_MAX = 131072, OUT_BYTES = 32768 + ENCODED_MAX + ATTRS_MAX };

struct line {
	size_t n;
	char buf[LINE_MAX_BYTES];
};

static struct line lines[2]; // stdout, stderr
static char out[OUT_BYTES];
static size_t out_n;

static const char *path, *attrs;
static size_t attrs_n;
static int fd = -1;
static int64_t size, max_size;
static int max_file;
static ino_t inode;
static uint64_t written[2]; // bytes of stdout and stderr in whole lines, whoever logs them

static void adopt(int new_fd)
{
	struct stat st;

	fd = new_fd;
	size = 0;
	inode = 0;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		size = st.st_size;
		inode = st.st_ino;
	}
}

void log_open(const struct config *cfg)
{
	path = cfg->log_path;
	attrs = cfg->log_attrs;
	attrs_n = strlen(attrs);
	if (attrs_n > ATTRS_MAX)
		attrs_n = 0;
	max_size = cfg->log_max_size;
	max_file = cfg->log_max_file < 1 ? 1 : cfg->log_max_file;
	adopt(cfg->log_fd);
}

void log_position(uint64_t *ino, uint64_t *offset, uint64_t whole[2])
{
	memcpy(whole, written, sizeof written);
	*ino = (uint64_t)inode;
	*offset = (uint64_t)size;
}

const char *log_pending(int stream, size_t *n)
{
	const struct line *l = &lines[stream - 1];
	*n = l->n;
	return l->buf;
}

// A write that fails (full disk) must not leave half a line: the reader could
// not parse what follows. The lines are lost, the container goes on.
void log_flush(void)
{
	size_t done = 0;

	while (fd >= 0 && done < out_n) {
		ssize_t w = write(fd, out + done, out_n - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (ftruncate(fd, size) < 0)
				size += (int64_t)done;
			out_n = 0;
			return;
		}
		done += (size_t)w;
	}
	if (fd >= 0)
		size += (int64_t)out_n;
	out_n = 0;
}

static bool numbered(char *buf, size_t n, int i)
{
	int len = snprintf(buf, n, "%s.%d", path, i);
	return len > 0 && (size_t)len < n;
}

static void rotate(void)
{
	char from[4096], to[4096];
	int next;

	log_flush();
	for (int i = max_file - 1; i > 1; i--)
		if (numbered(from, sizeof from, i - 1) && numbered(to, sizeof to, i))
			(void)rename(from, to);
	if (max_file > 1 && numbered(to, sizeof to, 1))
		(void)rename(path, to);
	else
		(void)unlink(path);
	next = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (next < 0)
		return; // goes on in the old file; the next line tries again
	close(fd);
	adopt(next);
}

static void put(const char *s, size_t n)
{
	memcpy(out + out_n, s, n);
	out_n += n;
}

#define PUT(s) put((s), sizeof(s) - 1)

// utf8_len is the length of the sequence at s that is valid UTF-8 (RFC 3629), 0
// if it is not, -1 if it is the beginning of one that the n bytes cut off.
static int utf8_len(const unsigned char *s, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	int len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		if (s[0] == 0xe0)
			lo = 0xa0;
		if (s[0] == 0xed)
			hi = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		if (s[0] == 0xf0)
			lo = 0x90;
		if (s[0] == 0xf4)
			hi = 0x8f;
	} else {
		return 0;
	}
	for (int i = 1; i < len; i++) {
		if ((size_t)i >= n)
			return -1;
		if (s[i] < lo || s[i] > hi)
			return 0;
		lo = 0x80;
		hi = 0xbf;
	}
	return len;
}

// plain are the ASCII characters that stand for themselves.
static const bool plain[128] = {
	[' ' ... '!'] = true,  ['#' ... '%'] = true, ['\'' ... ';'] = true, ['='] = true,
	['?' ... '['] = true,  [']' ... 0x7f] = true, // not: " & < > and the backslash
};

// encode writes the inside of a JSON string. The characters that HTML and
// JavaScript would misread are escaped as Go's encoding/json does, because
// that is what readers of such files have always seen.
static void encode(const unsigned char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t start = 0, i = 0;

	while (i < n) {
		unsigned char c = s[i];
		int len;

		if (c < 0x80) {
			if (plain[c]) {
				i++;
				continue;
			}
			put((const char *)s + start, i - start);
			if (c == '"')
				PUT("\\\"");
			else if (c == '\\')
				PUT("\\\\");
			else if (c == '\n')
				PUT("\\n");
			else if (c == '\r')
				PUT("\\r");
			else {
				char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
				put(esc, sizeof esc);
			}
			start = ++i;
			continue;
		}
		len = utf8_len(s + i, n - i);
		if (len <= 0) {
			put((const char *)s + start, i - start);
			PUT("\\ufffd");
			start = ++i;
			continue;
		}
		if (len == 3 && c == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] & 0xfe) == 0xa8) {
			put((const char *)s + start, i - start); // U+2028 and U+2029
			PUT("\\u202");
			put(&hex[s[i + 2] & 15], 1);
			i += 3;
			start = i;
			continue;
		}
		i += (size_t)len;
	}
	put((const char *)s + start, n - start);
}

static void put_time(void)
{
	static time_t second = -1;
	static char text[32];
	static size_t text_n;
	struct timespec ts;
	char frac[11] = {[0] = '.', [10] = 'Z'};

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != second) {
		struct tm tm;
		if (gmtime_r(&ts.tv_sec, &tm) == NULL ||
		    (text_n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm)) == 0)
			return;
		second = ts.tv_sec;
	}
	for (int i = 9; i > 0; i--) {
		frac[i] = (char)('0' + ts.tv_nsec % 10);
		ts.tv_nsec /= 10;
	}
	put(text, text_n);
	put(frac, sizeof frac);
}

static void emit(int stream, const char *s, size_t n)
{
	written[stream - 1] += n;
	if (fd < 0)
		return;
	if (max_size > 0 && size + (int64_t)out_n >= max_size)
		rotate();
	if (OUT_BYTES - out_n < ENCODED_MAX + attrs_n)
		log_flush();
	PUT("{\"log\":\"");
	encode((const unsigned char *)s, n);
	if (stream == STREAM_OUT)
		PUT("\",\"stream\":\"stdout\"");
	else
		PUT("\",\"stream\":\"stderr\"");
	if (attrs_n > 0) {
		PUT(",\"attrs\":");
		put(attrs, attrs_n);
	}
	PUT(",\"time\":\"");
	put_time();
	PUT("\"}\n");
}

// A full buffer is written without the character that it cuts in two.
static void emit_full(int stream, struct line *l)
{
	size_t keep = 0;

	for (size_t back = 1; back <= 3 && keep == 0; back++) {
		const unsigned char *s = (const unsigned char *)l->buf + l->n - back;
		if (*s >= 0xc0) {
			if (utf8_len(s, back) == -1)
				keep = back;
			break;
		}
		if (*s < 0x80)
			break;
	}
	emit(stream, l->buf, l->n - keep);
	memmove(l->buf, l->buf + l->n - keep, keep);
	l->n = keep;
}

void log_write(int stream, const char *buf, size_t n)
{
	struct line *l = &lines[stream - 1];

	while (n > 0) {
		const char *nl = memchr(buf, '\n', n);
		size_t len = nl ? (size_t)(nl - buf) + 1 : n;

		if (nl && l->n == 0 && len <= LINE_MAX_BYTES) { // the usual case, without a copy
			emit(stream, buf, len);
			buf += len;
			n -= len;
			continue;
		}
		if (len > LINE_MAX_BYTES - l->n)
			len = LINE_MAX_BYTES - l->n;
		memcpy(l->buf + l->n, buf, len);
		l->n += len;
		buf += len;
		n -= len;
		if (l->n > 0 && l->buf[l->n - 1] == '\n') {
			emit(stream, l->buf, l->n);
			l->n = 0;
		} else if (l->n == LINE_MAX_BYTES) {
			emit_full(stream, l);
		}
	}
}

void log_finish(void)
{
	for (int stream = STREAM_OUT; stream <= STREAM_ERR; stream++) {
		struct line *l = &lines[stream - 1];
		if (l->n > 0)
			emit(stream, l->buf, l->n);
		l->n = 0;
	}
	log_flush();
}
