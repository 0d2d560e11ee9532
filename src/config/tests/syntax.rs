//! Texts that are not TOML, and where in a text a problem is shown.

use super::check;

#[test]
fn every_syntax_error_is_reported_and_the_rest_is_still_checked() {
    check(
        r#"[[site]]
host = example.com
upstream = 3000;
[timeouts]
idle = 10s
heda = "1s"
connect = 5
"#,
        r#"r.toml:2:8: error: string values must be quoted
    host = example.com
           ^^^^^^^^^^^
    write: host = "example.com"
r.toml:3:12: error: string values must be quoted
    upstream = 3000;
               ^^^^^
    a line is `key = value`, without a semicolon; a block begins with [[site]] or [table]
r.toml:5:8: error: string values must be quoted
    idle = 10s
           ^^^
    write: idle = "10s"
r.toml:6:1: error: unknown key "heda" in [timeouts]
    heda = "1s"
    ^^^^
    did you mean "head"?
r.toml:7:11: error: "5" has no unit: ms, s, m, h or d
    connect = 5
              ^
    write: connect = "5s""#,
    );
}

#[test]
fn yaml_is_told_how_toml_writes_it() {
    check(
        r#"- host: www.example.com
  upstream: 3000
"#,
        r#"r.toml:1:3: error: key with no value, expected `=`
    - host: www.example.com
      ^
    write: host = "www.example.com"
r.toml:2:13: error: key with no value, expected `=`
      upstream: 3000
                ^
    write: upstream = 3000"#,
    );
}

#[test]
fn a_block_of_another_proxy_is_told_how_toml_writes_it() {
    check(
        r#"server {
  listen 80;
}
"#,
        r#"r.toml:1:8: error: key with no value, expected `=`
    server {
           ^
    a line is `key = value`, without a semicolon; a block begins with [[site]] or [table]
r.toml:2:10: error: key with no value, expected `=`
      listen 80;
             ^
    a line is `key = value`, without a semicolon; a block begins with [[site]] or [table]
r.toml:3:1: error: invalid key-value pair, expected key
    }
    ^
    a line is `key = value`, without a semicolon; a block begins with [[site]] or [table]"#,
    );
}

#[test]
fn a_broken_header_is_one_problem() {
    check(
        r#"[[site]
host = "a"
upstream = 3000
"#,
        r#"r.toml:1:8: error: unclosed array table, expected `]`
    [[site]
           ^"#,
    );
}

#[test]
fn a_list_without_its_end_is_told_so() {
    check(
        r#"[[site]]
host = ["a", "b"
upstream = 3000
"#,
        r#"r.toml:3:1: error: missing comma between array elements, expected `,`
    upstream = 3000
    ^
    or the list or table before it lacks its `]` or `}`"#,
    );
}

#[test]
fn sites_need_two_brackets() {
    check(
        r#"[site]
host = "a"
upstream = 3000
"#,
        r#"r.toml:1:1: error: a site has one pair of brackets
    [site]
    ^^^^^^
    write: [[site]]"#,
    );
}

#[test]
fn a_second_site_with_one_bracket_is_told_the_same() {
    check(
        r#"[site]
host = "a"
upstream = 3000
[site]
host = "b"
"#,
        r#"r.toml:4:2: error: duplicate key
    [site]
     ^^^^
    every site is written: [[site]]"#,
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    check(
        r#"[[site]]
host = "a"
upstream = ["http://192.0.2.1:3000", "http://192.0.2.2:3000", "http://192.0.2.3:3000", "http://192.0.2.4:3000", "http://192.0.2.5:3000", "http://192.0.2.6:3000", "http://192.0.2.7:3000", "http://192.0.2.8:3000", "http://192.0.2.9:3000", "http://192.0.2.10:3000", "http://192.0.2.11:3000", "http://x/y"]
"#,
        r#"r.toml:3:290: error: "http://x/y" has a path: requests are forwarded with the path that they came with
    0.2.10:3000", "http://192.0.2.11:3000", "http://x/y"]
                                            ^^^^^^^^^^^^
    write the address alone; `strip_prefix = true` in a route removes the path of that route"#,
    );
}

#[test]
fn columns_are_characters_and_tabs_keep_the_mark_in_place() {
    check(
        "[[site]]\n\thost = \"a\" # ünïcödé\n\tupstream = { servers = 3000, 'kéy' = 1, hodl = 1 }\n",
        r#"r.toml:3:31: error: unknown key "kéy" in upstream
     upstream = { servers = 3000, 'kéy' = 1, hodl = 1 }
                                  ^^^^^
    known here: servers, balance, hold, queue, max_connections, eject_after, eject_for, eject_max, verify, ca, sni, send_proxy_protocol
r.toml:3:42: error: unknown key "hodl" in upstream
     upstream = { servers = 3000, 'kéy' = 1, hodl = 1 }
                                             ^^^^
    did you mean "hold"?"#,
    );
}
