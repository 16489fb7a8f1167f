package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// readRemote fetches the context from the address of the parameter remote.
func (s *session) readRemote(ctx context.Context) error {
	if repo, ref, dir, ok := gitAddress(s.req.Remote); ok {
		return s.cloneGit(ctx, repo, ref, dir)
	}
	resp, err := s.fetch(ctx, s.req.Remote, "remote")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	plain, err := layer.Decompress(ctx, &download{ReadCloser: resp.Body, total: resp.ContentLength, report: s.progress("Downloading context"), left: s.limits.ContextBytes})
	if err != nil {
		return err
	}
	defer plain.Close()
	r := bufio.NewReaderSize(plain, 64<<10)
	head, err := r.Peek(tarHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if looksLikeTar(head) {
		return s.unpackContext(ctx, r)
	}
	// A single text: it is the Dockerfile, and there are no other files.
	if s.dockerfile, err = io.ReadAll(io.LimitReader(r, s.limits.DockerfileBytes+1)); err != nil {
		return err
	}
	switch {
	case len(s.dockerfile) == 0:
		return fault.Invalid("The Dockerfile (%s) cannot be empty", s.req.Remote)
	case int64(len(s.dockerfile)) > s.limits.DockerfileBytes:
		return fault.Invalid("remote: %s is neither a tar nor a Dockerfile of at most %d bytes", s.req.Remote, s.limits.DockerfileBytes)
	case bytes.IndexByte(s.dockerfile, 0) >= 0:
		return fault.Invalid("remote: %s is neither a tar nor a Dockerfile", s.req.Remote)
	}
	return nil
}

// tarHeader is the length of a tar's header block; the word at magicAt names
// the format (POSIX.1-2017, pax, "ustar Interchange Format").
const (
	tarHeader = 512
	magicAt   = 257
)

func looksLikeTar(head []byte) bool {
	if len(head) < tarHeader {
		return false
	}
	if bytes.HasPrefix(head[magicAt:], []byte("ustar")) {
		return true
	}
	// The oldest tars have no magic, but a checksum of the header in octal.
	var sum, want int64
	for i, b := range head[:tarHeader] {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += int64(b)
	}
	for _, b := range bytes.Trim(head[148:156], " \x00") {
		if b < '0' || b > '7' {
			return false
		}
		want = want*8 + int64(b-'0')
	}
	return head[0] != 0 && sum == want
}

// fetch asks for an address and gives an answer with status 200. what names the
// place in the request for errors.
func (s *session) fetch(ctx context.Context, address, what string) (*http.Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fault.Invalid("%s: %w", what, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.Invalid("%s: %s is neither an HTTP address nor a git repository", what, u.Redacted())
	}
	if err := Permitted(ctx, u.Redacted()); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.Invalid("%s: %w", what, err)
	}
	resp, err := s.httpClient().Do(req)
	if err != nil {
		return nil, fault.Invalid("%s: %w", what, err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fault.Invalid("%s: got %s from %s", what, resp.Status, u.Redacted())
	}
	return resp, nil
}

// download tells how far a download is and ends one that is too long.
type download struct {
	io.ReadCloser
	n, told, total, left int64
	report               func(current, total int64)
}

// reportEvery is the number of bytes between two lines of progress.
const reportEvery = 1 << 20

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.n += int64(n)
	if d.n > d.left {
		return 0, fault.Invalid("the download is longer than %d bytes", d.left)
	}
	if d.n-d.told >= reportEvery {
		d.told = d.n
		d.report(d.n, max(0, d.total))
	}
	return n, err
}

// progress gives a function that tells of a download. Only RUN and ADD have
// told something before: a failure of the context itself has a status of its own.
func (s *session) progress(what string) func(current, total int64) {
	return func(current, total int64) {
		if s.step > 0 && s.out.Progress != nil {
			s.out.Progress(image.Progress{Status: what, Current: current, Total: total})
		}
	}
}

// gitAddress takes the address of a git repository apart: repository, ref and
// directory, the latter two from the fragment "ref:directory".
func gitAddress(address string) (repo, ref, dir string, ok bool) {
	base, fragment, _ := strings.Cut(address, "#")
	switch {
	case strings.HasPrefix(base, "git://"), strings.HasPrefix(base, "git@"), strings.HasPrefix(base, "ssh://"):
	case strings.HasPrefix(base, "github.com/"):
		base = "https://" + base
	case strings.HasPrefix(base, "http://"), strings.HasPrefix(base, "https://"):
		if !strings.HasSuffix(base, ".git") {
			return "", "", "", false
		}
	default:
		return "", "", "", false
	}
	ref, dir, _ = strings.Cut(fragment, ":")
	return base, ref, dir, true
}

// cloneGit fetches one commit of a repository. Nothing of the address reaches
// git where it could be an option, and git may use no protocol that runs a
// program of the address's choice or reads the host's files.
func (s *session) cloneGit(ctx context.Context, repo, ref, dir string) error {
	for _, word := range []string{repo, ref, dir} {
		if strings.HasPrefix(word, "-") || strings.ContainsAny(word, "\x00\n\r") {
			return fault.Invalid("remote: %q cannot be part of a git address", word)
		}
	}
	if strings.Contains(repo, "::") {
		return fault.Invalid("remote: %q is not a git address that is served", repo)
	}
	if host, _, _ := strings.Cut(strings.TrimPrefix(repo, "ssh://"), "/"); strings.HasPrefix(host, "-") || strings.Contains(host, "@-") {
		return fault.Invalid("remote: %q is not a git address that is served", repo)
	}
	if _, err := exec.LookPath("git"); err != nil {
		return fault.Unavailable("remote: git is not installed on the engine's host: install it, or send the files as the request's body")
	}
	if ref == "" {
		ref = "HEAD"
	}
	if len(s.Denied) > 0 {
		if !strings.HasPrefix(repo, "http://") && !strings.HasPrefix(repo, "https://") {
			return fault.Invalid("remote: this engine lets builds reach some networks only (--build-deny): git repositories have to be on HTTP or HTTPS")
		}
		proxy, stop, err := s.gitProxy()
		if err != nil {
			return err
		}
		defer stop()
		s.proxy = proxy
	}
	clone := filepath.Join(s.dir, "clone")
	if err := s.git(ctx, "init", "--quiet", "--template=", clone); err != nil {
		return err
	}
	commit := "FETCH_HEAD"
	if err := s.git(ctx, "-C", clone, "fetch", "--quiet", "--depth", "1", "--recurse-submodules=no", "--", repo, ref); err != nil {
		if ctx.Err() != nil {
			return err
		}
		// Servers without a program behind them give no single commit, and
		// many do not for a commit's own name.
		var aerr error
		if commit, aerr = s.fetchAll(ctx, clone, repo, ref); aerr != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"-C", clone, "checkout", "--quiet", "--detach", commit},
		{"-C", clone, "submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"},
	} {
		if err := s.git(ctx, args...); err != nil {
			return err
		}
	}
	whole, err := openTree(clone)
	if err != nil {
		return err
	}
	s.files = whole
	if dir == "" {
		return nil
	}
	at, info, err := whole.stat(dir)
	if err != nil || !info.IsDir() {
		return fault.Invalid("remote: the repository has no directory %s", dir)
	}
	below, err := whole.OpenRoot(at)
	if err != nil {
		return err
	}
	s.files = &tree{Root: below, release: whole.Close}
	return nil
}

// fetchAll fetches a whole repository and finds the commit that ref, a branch, a
// tag or the commit's name, means.
func (s *session) fetchAll(ctx context.Context, clone, repo, ref string) (string, error) {
	if err := s.git(ctx, "-C", clone, "fetch", "--quiet", "--recurse-submodules=no", "--", repo, "+HEAD:refs/all/HEAD", "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"); err != nil {
		return "", err
	}
	var err error
	for _, name := range []string{"refs/all/heads/" + ref, "refs/all/tags/" + ref, "refs/all/" + ref, ref} {
		if err = s.git(ctx, "-C", clone, "rev-parse", "--quiet", "--verify", name+"^{commit}"); err == nil {
			return name, nil
		}
	}
	return "", err
}

// git runs one command of git, without the settings of the host, its prompts and
// its hooks.
func (s *session) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never",
		"-c", "protocol.http.allow=always", "-c", "protocol.https.allow=always", "-c", "protocol.git.allow=always", "-c", "protocol.ssh.allow=always"}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false", "GIT_SSH_COMMAND=ssh -oBatchMode=yes", "LC_ALL=C",
	}
	if s.proxy != "" {
		cmd.Args = slices.Insert(cmd.Args, 1, "-c", "protocol.git.allow=never", "-c", "protocol.ssh.allow=never")
		cmd.Env = append(cmd.Env, "http_proxy="+s.proxy, "https_proxy="+s.proxy)
	}
	// git's helpers end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var said lastWords
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.Invalid("remote: git: %s (%w)", strings.TrimSpace(string(said)), err)
	}
	return nil
}

// lastWords are the last bytes of what a program prints: a server may have git pass
// on as much as it likes.
type lastWords []byte

func (w *lastWords) Write(p []byte) (int, error) {
	const longest = 1 << 10
	*w = append(*w, p[max(0, len(p)-longest):]...)
	*w = slices.Delete(*w, 0, max(0, len(*w)-longest))
	return len(p), nil
}
