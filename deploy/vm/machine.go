package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// kvmTime and emulatedTime are how long the machine may take until the first check
	// begins. Emulation takes 15 seconds on a quiet machine, and KVM less.
	kvmTime      = time.Minute
	emulatedTime = 5 * time.Minute

	// here is where the machine has what is checked.
	here = "opt/vm"
)

// packages are what the machine has besides the least that Debian is.
var packages = []string{
	"systemd", "systemd-sysv", "dbus", "apparmor", "kmod", "procps", "util-linux", "initramfs-tools", "passwd",
	"strace", "s6", "execline", "tinycdb", "gcc", "libc6-dev", "python3-minimal", "iproute2",
}

// A machine is a file system and the kernel to boot it with.
type machine struct {
	work           string
	image          string
	kernel, initrd string
}

// build makes the machine in the directory work.
func build(ctx context.Context, o options, work string) (*machine, error) {
	root := filepath.Join(work, "root")
	if _, err := os.Stat(filepath.Join(root, "complete")); err != nil {
		if err := debian(ctx, o, root); err != nil {
			return nil, err
		}
	}
	step("the tests, the programs and the packages of the project")
	if err := project(ctx, o, filepath.Join(root, here)); err != nil {
		return nil, err
	}
	m := &machine{work: work, image: filepath.Join(work, "root.img")}
	for pattern, path := range map[string]*string{"vmlinuz-*": &m.kernel, "initrd.img-*": &m.initrd} {
		found, err := filepath.Glob(filepath.Join(root, "boot", pattern))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("%s has no %s of one kernel: %q", root, pattern, found)
		}
		*path = found[0]
	}
	step("a file system of it")
	os.Remove(m.image)
	if err := command(ctx, "truncate", "-s", "3G", m.image); err != nil {
		return nil, err
	}
	mke2fs, err := which("mke2fs")
	if err != nil {
		return nil, err
	}
	return m, command(ctx, mke2fs, "-q", "-t", "ext4", "-d", root, m.image)
}

// debian makes a small Debian at root.
func debian(ctx context.Context, o options, root string) error {
	step("a Debian, " + o.suite)
	if o.mirror == "" {
		out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian", "Label: Debian").Output()
		o.mirror, _, _ = strings.Cut(string(out), "\n")
		if err != nil || o.mirror == "" {
			return fmt.Errorf("apt names no mirror of Debian: %w; --mirror can", err)
		}
	}
	os.RemoveAll(root) // of a run that was killed
	debootstrap, err := which("debootstrap")
	if err != nil {
		return err
	}
	err = command(ctx, debootstrap, "--variant=minbase", "--include="+strings.Join(append(packages, o.kernel), ","), o.suite, root, o.mirror)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/fstab":    "/dev/vda / ext4 defaults 0 0\n",
		"etc/hostname": "vm-check\n",
		"etc/systemd/system/vm-check.service": `[Unit]
Description=Checks of credrpc
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/opt/vm/vm inside
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS0
LimitNOFILE=20000
`,
		"complete": "",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.Symlink("../vm-check.service", filepath.Join(root, "etc/systemd/system/multi-user.target.wants/vm-check.service"))
}

// project builds what is checked into the directory.
func project(ctx context.Context, o options, directory string) error {
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	os.Setenv("CGO_ENABLED", "0")
	if err := command(ctx, "go", "build", "-trimpath", "-o", directory+"/", "./deploy/vm", "./cmd/credrpc"); err != nil {
		return err
	}
	for _, p := range programs {
		if o.only != nil && !o.only.MatchString(p.name()) {
			continue
		}
		source := filepath.Join(directory, "src", p.dir)
		if err := command(ctx, "go", "test", "-c", "-trimpath", "-o", filepath.Join(source, "test"), "./"+p.dir); err != nil {
			return err
		}
		data := filepath.Join(p.dir, "testdata")
		if err := os.CopyFS(filepath.Join(source, "testdata"), os.DirFS(data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if o.only != nil {
		if err := os.WriteFile(filepath.Join(directory, "only"), []byte(o.only.String()), 0o644); err != nil {
			return err
		}
	}
	dist, err := os.MkdirTemp("", "credrpc-vm-packages")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dist)
	if err := command(ctx, "env", "LEVEL=1", "deploy/release/build", dist, "packages", "amd64"); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dist, "*.deb"))
	if err != nil {
		return err
	}
	return command(ctx, "cp", append(files, directory)...)
}

// boot runs the machine to its end and returns what the checks have written.
func (m *machine) boot(ctx context.Context) (lines []byte, err error) {
	if _, err := os.Stat("/dev/kvm"); err == nil {
		lines, err = m.qemu(ctx, kvmTime, "kvm", "-cpu", "host")
		if err == nil {
			return lines, nil
		}
		step(fmt.Sprintf("KVM does not work here: %v", err))
	}
	return m.qemu(ctx, emulatedTime, "tcg,thread=multi,tb-size=512", "-cpu", "max")
}

// errNotBooted reports that no check began.
var errNotBooted = errors.New("no check began within the time for booting")

// qemu boots with an accelerator, and kills the machine if it does not begin with the
// checks or ctx ends.
func (m *machine) qemu(ctx context.Context, bootTime time.Duration, accelerator string, more ...string) ([]byte, error) {
	name, _, _ := strings.Cut(accelerator, ",")
	step("checks in qemu, " + name)
	console, results := filepath.Join(m.work, "console"), filepath.Join(m.work, "results")
	os.Remove(results)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The clock is the processor's: that of the HPET takes a look at the machine's main
	// loop each time, which is what emulated processors wait for most.
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{
		"-machine", "pc,hpet=off", "-accel", accelerator, "-smp", "2", "-m", "2048",
		"-nodefaults", "-display", "none", "-no-reboot", "-serial", "file:" + console, "-serial", "file:" + results,
		"-kernel", m.kernel, "-initrd", m.initrd, "-drive", "file=" + m.image + ",format=raw,if=virtio,cache=unsafe",
		"-append", "root=/dev/vda rw console=ttyS0 apparmor=1 security=apparmor panic=-1 mitigations=off tsc=reliable clocksource=tsc nowatchdog vm_check=" + name,
	}, more...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	timer := time.AfterFunc(bootTime, func() {
		if info, err := os.Stat(results); err != nil || info.Size() == 0 {
			cancel(errNotBooted)
		}
	})
	err := cmd.Wait()
	timer.Stop()
	lines, _ := os.ReadFile(results)
	if len(lines) == 0 {
		return nil, fmt.Errorf("%w; the console says\n%s", errors.Join(context.Cause(ctx), err), tail(console))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "vm: qemu: %v; the console says\n%s\n", err, tail(console))
	}
	return lines, nil
}

// tail returns the end of a file.
func tail(path string) string {
	text, _ := os.ReadFile(path)
	return string(text[max(0, len(text)-2000):])
}

// step says what comes next.
func step(what string) { fmt.Fprintf(os.Stderr, "== %s  %s\n", time.Now().Format(time.TimeOnly), what) }

// command runs a program, whose output is only of interest if it fails.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out[max(0, len(out)-3000):])
	}
	return nil
}
