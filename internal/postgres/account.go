package postgres

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating-system account the server programs run as. Postgres refuses root, so root
// hands them to an account without rights; everybody else runs them as themselves.
type account struct {
	name     string
	uid, gid uint32
	foreign  bool // not ourselves: root has to hand over files and processes
}

// serverAccount chooses the account for the cluster in dir. Data that exists keeps its owner.
func serverAccount(dir string) (account, error) {
	owner, exists, err := ownerOf(filepath.Join(dir, "data"))
	if err != nil {
		return account{}, err
	}
	if os.Geteuid() != 0 {
		self := account{name: "this user", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
		if exists && owner != self.uid {
			return account{}, fmt.Errorf("use data directory %s: it belongs to user %s; run as that user, or name another directory",
				dir, userName(owner))
		}
		return self, nil
	}
	if exists && owner != 0 {
		return lookUpAccount(strconv.Itoa(int(owner)))
	}
	for _, name := range []string{"postgres", "nobody"} {
		if found, err := user.Lookup(name); err == nil {
			return lookUpAccount(found.Uid)
		}
	}
	return account{}, fmt.Errorf("start Postgres as root: it refuses to run as root, and neither account postgres nor nobody exists; " +
		"create one, or run as an ordinary user")
}

func lookUpAccount(uid string) (account, error) {
	found, err := user.LookupId(uid)
	if err != nil {
		return account{}, fmt.Errorf("look up the account of the data directory: %w", err)
	}
	u, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read uid of account %s: %w", found.Username, err)
	}
	g, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read gid of account %s: %w", found.Username, err)
	}
	return account{name: found.Username, uid: uint32(u), gid: uint32(g), foreign: true}, nil
}

// credential is what a child process needs to become the account; nil when it is our own. Groups are
// set on purpose: without them the child would keep root's.
func (a account) credential() *syscall.Credential {
	if !a.foreign {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{a.gid}}
}

// own makes a private directory for the account, or checks that the existing one is.
func (a account) own(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		return a.take(dir)
	case !os.IsExist(err):
		return err
	}
	stat, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if owner := stat.Sys().(*syscall.Stat_t).Uid; !stat.IsDir() || owner != a.uid {
		return fmt.Errorf("%s exists and is no directory of account %s; remove it", dir, userName(a.uid))
	}
	return os.Chmod(dir, 0o700)
}

// take hands one file or directory to the account.
func (a account) take(path string) error {
	if !a.foreign {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// mayEnter checks that every directory above and including dir lets the account through. Root's own
// home, for one, does not, and the server programs would only say "Permission denied".
func (a account) mayEnter(dir string) error {
	if !a.foreign {
		return nil
	}
	for at := dir; ; at = filepath.Dir(at) {
		stat, err := os.Stat(at)
		if err != nil {
			return err
		}
		if !a.passes(stat) {
			return fmt.Errorf("use directory %s: Postgres runs as account %s, which may not enter %s (%s); name a directory outside it",
				dir, a.name, at, stat.Mode())
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func (a account) passes(stat fs.FileInfo) bool {
	sys := stat.Sys().(*syscall.Stat_t)
	switch mode := stat.Mode(); {
	case sys.Uid == a.uid:
		return mode&0o100 != 0
	case sys.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// ownerOf answers the owner of a path, and false when nothing is there.
func ownerOf(path string) (uid uint32, exists bool, err error) {
	stat, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	return stat.Sys().(*syscall.Stat_t).Uid, true, nil
}

func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if found, err := user.LookupId(id); err == nil {
		return found.Username
	}
	return id
}
