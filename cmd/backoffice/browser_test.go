package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	browserlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserLimit is generous, like every limit of a test that waits for a state.
const browserLimit = 5 * time.Minute

// visitor is a browser with one page open, and what went wrong in it.
type visitor struct {
	t   *testing.T
	ctx context.Context
	api apiProcess

	mu       sync.Mutex
	troubles []string
}

// visit opens a browser in front of the API. Whatever a page's script throws, a dialog, and what the
// browser refuses or cannot load fail the test.
func (s shop) visit() *visitor {
	s.t.Helper()
	program := findBrowser(s.t)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	v := &visitor{t: s.t, api: s.startAPI("127.0.0.1:0")}
	s.t.Cleanup(func() {
		_ = v.api.Process.Kill() // it may have ended
		_ = v.api.Wait()
	})
	limited, cancel := context.WithTimeout(context.Background(), browserLimit)
	s.t.Cleanup(cancel)
	allocator, cancel := chromedp.NewExecAllocator(limited, options...)
	s.t.Cleanup(cancel)
	v.ctx, cancel = chromedp.NewContext(allocator)
	s.t.Cleanup(cancel)
	v.do("open a browser")
	err := chromedp.Listen(v.ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			v.trouble("script: " + e.ExceptionDetails.Text)
		case *page.EventJavascriptDialogOpening:
			v.trouble("dialog: " + e.Message)
		case *browserlog.EventEntryAdded:
			if e.Entry.Level == browserlog.EntryLevelError {
				v.trouble("browser: " + e.Entry.Text + " " + e.Entry.URL)
			}
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no browser is installed; on Debian: apt-get install chromium")
	return ""
}

func (v *visitor) trouble(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.troubles = append(v.troubles, what)
}

// calm fails the test if something went wrong in the browser.
func (v *visitor) calm() {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, trouble := range v.troubles {
		v.t.Error(trouble)
	}
}

// step is something that is done in the browser.
type step = chromedp.Action[chromedp.Void]

func (v *visitor) do(what string, steps ...step) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, steps...); err != nil {
		v.calm()
		v.t.Fatalf("%s: %v", what, err)
	}
}

// answered is what an action in the browser answers.
func answered[T any](v *visitor, what string, action chromedp.Action[T]) T {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, action)
	if err != nil {
		v.calm()
		v.t.Fatalf("%s: %v", what, err)
	}
	return value
}

// open goes to a path and waits until it is there.
func (v *visitor) open(path string) {
	v.t.Helper()
	v.do("open "+path, chromedp.Navigate(v.api.url+path), shows("footer"))
}

// text is what a reader sees of the first element that matches.
func (v *visitor) text(selector string) string {
	v.t.Helper()
	return strings.TrimSpace(answered(v, "read "+selector, chromedp.Text(chromedp.CSS(selector))))
}

// eval is the value of an expression in the page.
func eval[T any](v *visitor, expression string) T {
	v.t.Helper()
	return answered(v, expression, chromedp.Evaluate[T](expression))
}

func shows(selector string) step { return chromedp.WaitVisible(chromedp.CSS(selector)) }

func click(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

func types(selector, text string) step { return chromedp.SendKeys(chromedp.CSS(selector), text) }

// screen is a phone's when it is narrow. scheme is light or dark.
func screen(width, height int64, scheme string) step {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500,
		}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

func withoutScripts() step {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// place places an order by HTTP, as a shop would.
func (v *visitor) place(body string) {
	v.t.Helper()
	if status, answer, err := v.api.send(http.MethodPost, "/api/orders", body); err != nil || status != http.StatusAccepted {
		v.t.Fatalf("place: %d, %v: %s", status, err, answer)
	}
}
