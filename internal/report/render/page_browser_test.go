package render_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"backoffice/internal/report/render"
)

// browserLimit is generous, like every limit of a test that waits for a state.
const browserLimit = 5 * time.Minute

// browser opens one, with its pages' own limits of time.
func browser(t *testing.T) context.Context {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no browser is installed; on Debian: apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	limited, cancel := context.WithTimeout(context.Background(), browserLimit)
	t.Cleanup(cancel)
	allocator, cancel := chromedp.NewExecAllocator(limited, options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	return ctx
}

// screen is a phone's when it is narrow. scheme is light or dark.
func screen(width int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: width < 500,
		}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// outside names what is wider than the screen, tables apart: those are moved under the finger.
const outside = `[...document.querySelectorAll("body, body *:not(.scroll *):not(svg *)")].filter(e =>
	e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(e => e.tagName + "." + e.className).slice(0, 5).join("; ")`

// TestPageFitsItsScreen looks at the samples in a browser. With TEST_SCREENSHOTS=DIR it leaves pictures
// there, for people to look at.
func TestPageFitsItsScreen(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	dir := t.TempDir()
	for name, sample := range samples {
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, written(t, render.FormatHTML, sample()), 0o600); err != nil {
			t.Fatal(err)
		}
		address := url.URL{Scheme: "file", Path: file}
		for _, looks := range []struct {
			name   string
			width  int64
			scheme string
		}{{"desktop-light", 1280, "light"}, {"desktop-dark", 1280, "dark"}, {"phone-light", 390, "light"}, {"phone-dark", 360, "dark"}} {
			if err := chromedp.Do(ctx, screen(looks.width, looks.scheme), chromedp.Navigate(address.String()), chromedp.WaitVisible(chromedp.CSS("footer"))); err != nil {
				t.Fatalf("open %s: %v", name, err)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[string](outside))
			if err != nil || wide != "" {
				t.Errorf("%s on a %s: wider than the screen: %s, %v", name, looks.name, wide, err)
			}
			if to := os.Getenv("TEST_SCREENSHOTS"); to != "" {
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(to, name+"-"+looks.name+".png"), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
