# Sourced by docker/quickstart: the processes of one data directory.
#
# `$dir/layout` says what was started there last, a line a word: port_base,
# nodes, rf, kafka. A process is named by what it is: rebalance1, n1, ingest1,
# query, kafka. Its record (shell.sh) is there from its start until it was
# stopped, so a record without a process is one that died.

run=$dir/run
logs=$dir/log
readonly ready_seconds=120
readonly stop_seconds=30
readonly bin=$root/build/release/bin

layout_read() { # WORD → its value, empty if nothing was ever started here
	sed -n "s/^$1 //p" "$dir/layout" 2>/dev/null || true
}

layout_write() {
	printf 'port_base %s\nnodes %s\nrf %s\nkafka %s\n' "$port_base" "$nodes" "$rf" "$kafka" >"$dir/layout.new" &&
		mv "$dir/layout.new" "$dir/layout"
}

numbered() { # NAME COUNT → NAME1 … NAMECOUNT
	local n
	for ((n = 1; n <= $2; n++)); do printf '%s%d\n' "$1" "$n"; done
}

# With one node there is nothing to go on when a machine dies, so one of each is enough.
names_of() { # NODES → every program, in the order of their start
	local copies=$(($1 > 1 ? 2 : 1))
	numbered rebalance "$copies"
	numbered n "$1"
	numbered ingest "$copies"
	echo query
}

port_of() { # NAME, under port_base
	local number=${1//[^0-9]/}
	case $1 in
	query) echo "$port_base" ;;
	admin) echo $((port_base + 1)) ;;
	ingest*) echo $((port_base + 10 + number)) ;;
	rebalance*) echo $((port_base + 20 + number)) ;;
	n*) echo $((port_base + 30 + number)) ;;
	kafka) echo $((port_base - 7700 + 9092)) ;;
	kafka-controller) echo $((port_base - 7700 + 9093)) ;;
	esac
}

program_of() { # NAME
	case $1 in
	n[0-9]*) echo millrace-shard ;;
	*) echo "millrace-${1%%[0-9]*}" ;;
	esac
}

record_of() { # NAME
	if [ "$1" = kafka ]; then printf '%s\n' "$dir/kafka/pid"; else printf '%s\n' "$run/$1"; fi
}

running() { # NAME
	process_running "$(record_of "$1")" >/dev/null
}

recorded() { # every process that was started and not stopped, though it may have died
	local record
	for record in "$run"/*; do
		case $record in *.ready | *.new | *.next | *'*') ;; *) basename "$record" ;; esac
	done
	if [ -f "$dir/kafka/pid" ]; then echo kafka; fi
}

any_running() {
	local name
	for name in $(recorded); do
		if running "$name"; then return 0; fi
	done
	return 1
}

# The controllers first, lest they record nodes as gone that are only ending;
# Kafka last, because the nodes store what they received and feeders commit it.
# Waited for is who stops them: the programs may be children of this shell too.
stop_all() {
	local kind name stopping
	for kind in query rebalance ingest n kafka; do
		stopping=()
		for name in $(recorded); do
			case $name in
			"$kind" | "$kind"[0-9]*)
				process_stop "$(record_of "$name")" "$stop_seconds" && rm -f "$run/$name.ready" &
				stopping+=($!)
				;;
			esac
		done
		if [ "${#stopping[@]}" -gt 0 ]; then wait "${stopping[@]}"; fi
	done
}

flags_of() { # NAME → the settings in which it differs from the file, a line each
	case $1 in
	n*) printf '%s\n' --id "$1" --listen "127.0.0.1:$(port_of "$1")" --data "$dir/$1" ;;
	ingest*) printf '%s\n' --listen "127.0.0.1:$(port_of "$1")" --data "$dir/$1" ;;
	rebalance*) printf '%s\n' --listen "127.0.0.1:$(port_of "$1")" ;;
	esac
}

start_program() { # NAME
	local flags=()
	mapfile -t flags < <(flags_of "$1")
	rm -f "$run/$1.ready"
	setsid "$bin/$(program_of "$1")" --config "$dir/millrace.yaml" --ready-file "$run/$1.ready" "${flags[@]}" \
		</dev/null >>"$logs/$1.log" 2>&1 8>&- &
	process_record "$run/$1" $!
}

wait_ready() { # NAME
	local deadline=$((SECONDS + ready_seconds))
	until [ -s "$run/$1.ready" ]; do
		if ! running "$1"; then
			tail -n 10 "$logs/$1.log" >&2
			fail "$1 ended while starting; its log is $logs/$1.log"
		fi
		if [ "$SECONDS" -ge "$deadline" ]; then
			tail -n 10 "$logs/$1.log" >&2
			fail "$1 was not ready within $ready_seconds s; its log is $logs/$1.log"
		fi
		sleep 0.05
	done
}

write_configuration() {
	local name nodes_listed=''
	for name in $(numbered n "$nodes"); do
		nodes_listed+="${nodes_listed:+, }{id: $name, url: \"http://127.0.0.1:$(port_of "$name")\"}"
	done
	cat >"$dir/millrace.yaml" <<-YAML
		# Written by docker/quickstart at every start. Of several programs of one
		# kind this describes the first; the others get --id, --listen and --data.
		cluster: millrace
		kafka: {bootstrap.servers: "$kafka_address"}
		topology: {rf: $rf, groups: {g0: [$nodes_listed]}}
		ingest: {listen: "127.0.0.1:$(port_of ingest1)", data: "$dir/ingest1"}
		shard: {listen: "127.0.0.1:$(port_of n1)", id: n1, data: "$dir/n1"}
		query: {listen: "127.0.0.1:$(port_of query)", admin: "127.0.0.1:$(port_of admin)"}
		rebalance: {listen: "127.0.0.1:$(port_of rebalance1)"}
	YAML
}

place_of() { # NAME → where it listens, as it says itself
	if [ "$1" = kafka ]; then
		sed -nE 's/^listeners=PLAINTEXT:..([^,]+).*/\1/p' "$dir/kafka/server.properties"
	else
		sed -nE 's/.*"listen": ?"([^"]+)".*/\1/p' "$run/$1.ready" 2>/dev/null
	fi
}

status() { # 0 only if everything runs
	local name pid known missing=0
	known=$(layout_read nodes)
	if [ -z "$known" ]; then
		echo "nothing was started in $dir yet"
		return 1
	fi
	for name in $([ -n "$(layout_read kafka)" ] || echo kafka) $(names_of "$known"); do
		if pid=$(process_running "$(record_of "$name")"); then
			printf '%-10s running  pid %-8s %s\n' "$name" "$pid" "$(place_of "$name")"
		elif [ -f "$(record_of "$name")" ]; then
			printf '%-10s died     see %s\n' "$name" "$([ "$name" = kafka ] && echo "$dir/kafka/kafka.log" || echo "$logs/$name.log")"
			missing=1
		else
			printf '%-10s stopped\n' "$name"
			missing=1
		fi
	done
	if [ "$missing" -ne 0 ]; then echo "docker/quickstart starts what does not run"; fi
	return "$missing"
}
