#!/bin/sh
# Runs the daemon on the sample footage, with its own broker; the books go to .run/.
# Usage: run_samples.sh PATH-TO-EDGEWATCH
set -eu

edgewatch=$1
config=samples/edgewatch.toml
port=${EDGEWATCH_MQTT__PORT:-1883}

# What was learnt of the samples in an earlier run would spoil the show: begin anew.
rm -rf .run/baseline
mkdir -p .run

if python3 -c "import socket,sys; s=socket.socket(); s.settimeout(1); \
sys.exit(s.connect_ex(('127.0.0.1', $port)) != 0)"; then
    echo "port $port already has a broker: using that one instead of the embedded one"
    export EDGEWATCH_MQTT__HOST=127.0.0.1
fi
cat <<END

edgewatch watches three cameras made of recordings that repeat: a walkway, the same walkway where
a fire breaks out, and a (drawn) drive that ends in a collision. In another terminal:

    mosquitto_sub -h 127.0.0.1 -p $port -v -t 'edgewatch/#'

and in a browser: http://127.0.0.1:${EDGEWATCH_WEB__PORT:-8787}

The first verdicts come after 5 s, the first event after about 15 s. Ctrl-C ends it.

END
exec "$edgewatch" run --config "$config"
