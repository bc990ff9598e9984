package queue_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs the tests, or stands for a worker process in the programs that the fault tests start.
func TestMain(m *testing.M) {
	if config := os.Getenv(workerEnv); config != "" {
		os.Exit(runFaultWorker(config))
	}
	flag.Parse()
	waitTogether()
	os.Exit(m.Run())
}

// waitTogether lets more tests run at once than there are processors, unless the command line says how
// many: most of them spend their time waiting for a limit to pass.
func waitTogether() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "16")
	}
}
