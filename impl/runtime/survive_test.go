package runtime_test

func startAndWait(args []string) {}
