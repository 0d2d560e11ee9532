# shellcheck shell=bash
# What puts the program on an emulated board under load, for `cross/count` and `cross/train`; sourced after lib.sh, not run.

board_tools() {
    for tool in usr/sbin/nginx usr/sbin/haproxy usr/bin/wrk usr/bin/perf; do
        [ -x "$root/$tool" ] || die "run cross/setup nginx haproxy wrk linux-perf"
    done
}

# Configurations of the proxies and of an origin, files for that, and a certificate, for /c of a board.
lay_out() { # FOLDER
    mkdir -p "$1/www"
    head -c 1024 /dev/zero > "$1/www/1k"
    head -c 65536 /dev/zero > "$1/www/64k"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=127.0.0.1 \
        -keyout "$1/key.pem" -out "$1/cert.pem" 2> /dev/null
    cat "$1/cert.pem" "$1/key.pem" > "$1/both.pem"
    local file log
    for file in ringferry.toml nginx.conf haproxy.cfg origin.conf; do
        log=off
        [ $file != haproxy.cfg ] || log=
        sed -e 's|@P_HTTP@|8080|; s|@P_TLS@|8443|; s|@P_UPSTREAM@|8081|; s|@B_DIR@|/c|' -e "s|@B_LOG@|$log|" \
            -e 's|@B_CERT@|/c/cert.pem|; s|@B_KEY@|/c/key.pem|; s|@B_PEM@|/c/both.pem|' "perf/$file" > "$1/$file"
    done
}
