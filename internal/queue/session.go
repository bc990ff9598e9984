package queue

// SessionSettings are the server settings of every connection of a worker process. They make Postgres
// end what a process leaves behind that was killed, frozen or cut off: its row locks would keep others
// from its jobs and orders.
func SessionSettings() map[string]string {
	return map[string]string{
		// Short statements only: compiling one costs more than running it.
		"jit": "off",
		// A process frozen between two statements of a transaction.
		"idle_in_transaction_session_timeout": "10s",
		// A statement that nobody waits for any more. Cancelling it is not enough: the driver's
		// cancel request may reach the server before the statement does.
		"client_connection_check_interval": "1s",
		// A host that went away without a word: 5 s idle, then 3 probes 2 s apart.
		"tcp_keepalives_idle":     "5",
		"tcp_keepalives_interval": "2",
		"tcp_keepalives_count":    "3",
		"tcp_user_timeout":        "10s",
	}
}
