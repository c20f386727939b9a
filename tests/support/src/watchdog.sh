# Cleans up after a parent that died. Told over stdin what runs; the end of stdin means the parent is gone.
# Arguments: the folder to remove, the signal that stops the server at once.
# Invariant: a process is signalled only while the parent has not reported its end.
trap '' INT HUP
folder=$1 signal=$2 pid=
while read -r word value; do
    case $word in
    watch) pid=$value ;;
    gone) pid= ;;
    done) exit 0 ;;
    esac
done
# In a container whose first process collects nobody, an ended server stays a zombie.
runs() {
    kill -s 0 "$pid" && ! grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status"
}
if [ -n "$pid" ]; then
    kill -s "$signal" "$pid"
    kill -s CONT "$pid"
    turns=0
    while runs && [ "$turns" -lt 80 ]; do
        sleep 0.1
        turns=$((turns + 1))
    done
    kill -s KILL "$pid"
fi
rm -rf -- "$folder"
