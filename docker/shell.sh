# Sourced by the scripts of this folder: processes, ports, places.
#
# A process that a script starts is recorded in a file as "PID STARTTIME"; the
# start time (clock ticks since boot) tells it from a later process that got
# the same number, so that nothing else is ever signalled.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

fail() {
	printf '%s\n' "$*" >&2
	exit 1
}

# What is fetched once and shared by all checkouts and build directories.
cache_dir() {
	printf '%s\n' "${MILLRACE_DEPS_CACHE:-${XDG_CACHE_HOME:-${HOME:-$root/build}/.cache}/millrace}"
}

process_start_time() { # PID → field 22 of its stat; the name (field 2) may hold blanks
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	set -- ${stat##*) }
	[ "$1" != Z ] || return 1
	printf '%s\n' "${20}"
}

process_record() { # FILE PID
	printf '%s %s\n' "$2" "$(process_start_time "$2")" >"$1.new" && mv "$1.new" "$1"
}

# Prints the pid if the recorded process still runs.
process_running() { # FILE
	local pid started
	[ -r "$1" ] && read -r pid started <"$1" && [ "$(process_start_time "$pid")" = "$started" ] &&
		printf '%s\n' "$pid"
}

process_stop() { # FILE SECONDS: ask, then after SECONDS kill; removes the record
	local pid tries=$(($2 * 10))
	if pid=$(process_running "$1"); then
		kill -TERM "$pid" 2>/dev/null || true
		while process_running "$1" >/dev/null; do
			if [ "$tries" -eq 0 ]; then kill -KILL "$pid" 2>/dev/null || true; fi
			tries=$((tries - 1))
			sleep 0.1
		done
	fi
	rm -f "$1"
}

port_taken() { # PORT on the loopback
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
