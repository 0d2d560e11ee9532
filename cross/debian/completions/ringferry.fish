# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ringferry_global_optspecs
    string join \n h/help V/version
end

function __fish_ringferry_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ringferry_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ringferry_using_subcommand
    set -l cmd (__fish_ringferry_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ringferry -n "__fish_ringferry_needs_command" -s h -l help -d 'Print help'
complete -c ringferry -n "__fish_ringferry_needs_command" -s V -l version -d 'Print version'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "run" -d 'Serve the sites of a configuration file'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "check" -d 'Read a configuration and report every problem at once'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "explain" -d 'Say which site, route and servers a URL reaches, and why the others lost'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "cert" -d 'Show the certificates of the sites, or the one of our own authority'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "status" -d 'Show what a running Ringferry is doing'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "reload" -d 'Make a running Ringferry read its configuration again'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "upgrade" -d 'Have this program take over from a running one'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "doctor" -d 'Say what of this machine matters for Ringferry, and what to do about it'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "proxy" -d 'Put one application behind a port, without a file'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "demo" -d 'Start three little sites and the proxy in front of them'
complete -c ringferry -n "__fish_ringferry_needs_command" -f -a "version" -d 'Print the version'
complete -c ringferry -n "__fish_ringferry_using_subcommand run" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand run" -l cores -d 'Use the first N processors, or these (`0-2`, `0,2`), whatever the file says' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand run" -l kernel -d 'What does the I/O: `uring`, `epoll`, or `auto`, which is io_uring where the system allows it and epoll elsewhere' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand run" -l admin -d 'The admin socket [default: /run/ringferry.sock, or $XDG_RUNTIME_DIR/ringferry.sock where /run is not writable]' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand run" -l quiet -d 'Write no access log'
complete -c ringferry -n "__fish_ringferry_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand check" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand check" -l strict -d 'Exit with 2 when there are warnings'
complete -c ringferry -n "__fish_ringferry_using_subcommand check" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand explain" -l from -d 'Say whether a client at this address may come' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand explain" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand explain" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and not __fish_seen_subcommand_from list ca" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and not __fish_seen_subcommand_from list ca" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and not __fish_seen_subcommand_from list ca" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and not __fish_seen_subcommand_from list ca" -f -a "list" -d 'List the certificates of each site that ends TLS: keys, names, days left, problems'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and not __fish_seen_subcommand_from list ca" -f -a "ca" -d 'Print the certificate of our own authority, which issues for sites with tls = "internal"'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and __fish_seen_subcommand_from list" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and __fish_seen_subcommand_from ca" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and __fish_seen_subcommand_from ca" -l json -d 'Print JSON: the certificate with its name, SHA-256 and validity'
complete -c ringferry -n "__fish_ringferry_using_subcommand cert; and __fish_seen_subcommand_from ca" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand status" -l admin -d 'The admin socket [default: /run/ringferry.sock, or $XDG_RUNTIME_DIR/ringferry.sock where /run is not writable]' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand status" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand reload" -l admin -d 'The admin socket [default: /run/ringferry.sock, or $XDG_RUNTIME_DIR/ringferry.sock where /run is not writable]' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand reload" -l dry-run -d 'Only say whether the file is good and its addresses are free'
complete -c ringferry -n "__fish_ringferry_using_subcommand reload" -l or-upgrade -d 'Where the running process is of another program than this one, upgrade it instead'
complete -c ringferry -n "__fish_ringferry_using_subcommand reload" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand upgrade" -l admin -d 'The admin socket [default: /run/ringferry.sock, or $XDG_RUNTIME_DIR/ringferry.sock where /run is not writable]' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand doctor" -s c -l config -d 'The configuration file' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand doctor" -l admin -d 'The admin socket [default: /run/ringferry.sock, or $XDG_RUNTIME_DIR/ringferry.sock where /run is not writable]' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand doctor" -l json -d 'Print JSON'
complete -c ringferry -n "__fish_ringferry_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand proxy" -l from -d 'Where to listen: `:8080` (IPv4 and IPv6), `127.0.0.1:8080`, `[::1]:8080`' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand proxy" -l to -d 'Where the application is: a port of this machine, `host:port`, a URL, or `unix:PATH`' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand proxy" -l host -d 'Answer for this host only; others get 421' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand proxy" -l kernel -d 'What does the I/O: `uring`, `epoll`, or `auto`, which is io_uring where the system allows it and epoll elsewhere' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand proxy" -l admin -d 'Open an admin socket here, for `status` and `reload`' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand demo" -l port -d 'The port for http://; the next free one if it is taken' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand demo" -l https-port -d 'The port for https://; the next free one if it is taken' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand demo" -l kernel -d 'What does the I/O: `uring`, `epoll`, or `auto`, which is io_uring where the system allows it and epoll elsewhere' -r
complete -c ringferry -n "__fish_ringferry_using_subcommand demo" -l admin -d 'Open an admin socket here, for `status` and `reload`' -r -F
complete -c ringferry -n "__fish_ringferry_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringferry -n "__fish_ringferry_using_subcommand version" -s h -l help -d 'Print help'
