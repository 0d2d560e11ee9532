//! What a site is made of, one word each: hosts, paths, redirect targets; and the processors to run on.

use super::name::{self, Host};
use super::reader::{Scalar, Wrong};
use crate::model::{Cores, HostPattern};

impl Scalar for HostPattern {
    const EXAMPLE: &'static str = "\"www.example.com\"";

    fn from_text(text: &str) -> Result<HostPattern, Wrong> {
        if let Some(bare) = text.strip_prefix("https://") {
            let hint = format!("write {bare:?}; TLS comes with cert and key beside it, or with tls = \"internal\"");
            return Err(Wrong::new(format!("{text:?}: https:// in front of a host turns nothing on")).say(hint));
        }
        let bare = text.strip_prefix("http://").unwrap_or(text);
        if bare == "*" {
            return Ok(HostPattern::Any);
        }
        if let Some(at) = bare.find('/') {
            return Err(Wrong::new(format!("{text:?} has a path: paths belong to routes")).write(&bare[..at]));
        }
        if let (host, Some(_)) = name::split_port(bare) {
            let what = format!("{text:?} has a port: a host answers on every port that the site listens on");
            return Err(Wrong::new(what).say(format!("write {host:?}, and the port as `listen = \":PORT\"`")));
        }
        let (wildcard, rest) = bare.strip_prefix("*.").map_or((false, bare), |rest| (true, rest));
        if rest.contains('*') {
            return Err(Wrong::new(format!("{text:?}: a star stands for whole names, alone or before the first dot"))
                .say("write \"*\", or a name as \"*.example.com\""));
        }
        match (name::host(rest)?, wildcard) {
            (Host::Name(name), true) => Ok(HostPattern::Wildcard(name)),
            (Host::Ip(_), true) => Err(Wrong::new(format!("{text:?}: an address has no names below it")).write(rest)),
            (Host::Name(name), false) => Ok(HostPattern::Exact(name)),
            (Host::Ip(ip), false) if ip.is_ipv6() => Ok(HostPattern::Exact(format!("[{ip}]"))),
            (Host::Ip(ip), false) => Ok(HostPattern::Exact(ip.to_string())),
        }
    }
}

/// A path prefix as the model holds it: whole segments, no slash at the end but for `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoutePath(pub(super) String);

impl RoutePath {
    /// `/`, which every path is under.
    pub(super) fn everything() -> Self {
        RoutePath("/".to_owned())
    }
}

impl Scalar for RoutePath {
    const EXAMPLE: &'static str = "\"/blog/\"";

    fn from_text(text: &str) -> Result<RoutePath, Wrong> {
        let wrong = |why: &str| Wrong::new(format!("{text:?} {why}"));
        if !text.starts_with('/') {
            return Err(wrong("does not begin with a slash").write(format_args!("/{text}")));
        }
        if let Some(at) = text.find('*') {
            return Err(wrong("has a star: a path covers everything below it").write(&text[..at]));
        }
        if text.contains(['?', '#']) {
            return Err(wrong("has a query: routes are chosen by path only")
                .write(text.split(['?', '#']).next().unwrap_or("/")));
        }
        if text.contains('%') {
            return Err(wrong("is percent-encoded")
                .say("write the characters themselves, as \"/my files\" for \"/my%20files\""));
        }
        if text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(wrong("has a backslash or a control character, which no path has when it is routed"));
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            let kept = segments.into_iter().filter(|segment| !matches!(*segment, "" | "." | ".."));
            let meant: String = kept.flat_map(|segment| ["/", segment]).collect();
            return Err(wrong("has empty or dot segments, which requests lose before they are routed")
                .write(if meant.is_empty() { "/" } else { &meant }));
        }
        Ok(if path.is_empty() { RoutePath::everything() } else { RoutePath(path.to_owned()) })
    }
}

/// Where a redirect leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) url: String,
    /// It has no path of its own: path and query of the request are kept.
    pub(super) keep_path: bool,
}

impl Scalar for Target {
    const EXAMPLE: &'static str = "\"https://www.example.com\"";

    fn from_text(text: &str) -> Result<Target, Wrong> {
        if let Some(at) = text.find(['$', '{']) {
            return Err(Wrong::new(format!(
                "{text:?} has variables: a target without a path keeps path and query by itself"
            ))
            .write(&text[..at]));
        }
        let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
            let what = format!("{text:?} is not a whole URL");
            let rest = text.trim_start_matches('/');
            return Err(
                Wrong::new(what).write(format_args!("https://{}", if rest == text { rest } else { "www.example.com" }))
            );
        };
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`|}".contains(*c)) {
            return Err(Wrong::new(format!("{odd:?} cannot be in a URL"))
                .say("write it percent-encoded; of host names the xn-- form"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = name::split_port(authority);
        name::host(host)?;
        port.map(name::port).transpose()?;
        Ok(Target { url: text.to_owned(), keep_path: path.is_empty() })
    }
}

impl Scalar for Cores {
    const EXAMPLE: &'static str = "\"0-2\"";

    /// A number is how many; with a dash or a comma it is which.
    fn from_text(text: &str) -> Result<Cores, Wrong> {
        let wrong = |why: &str| {
            Wrong::new(format!("{text:?} {why}")).say("write how many, as 2, or which, as \"0-2\" or \"0,2\"")
        };
        let number = |text: &str| {
            let number = text.trim().parse().ok().filter(|number| *number <= CORE_MAX);
            number.ok_or_else(|| wrong("does not name processors"))
        };
        if !text.contains(['-', ',']) {
            return match number(text)? {
                0 => Err(wrong("leaves no processor to run on")),
                count => Ok(Cores::Count(count)),
            };
        }
        let mut list = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong("has a range that ends before it begins"));
            }
            list.extend(first..=last);
        }
        list.sort_unstable();
        list.dedup();
        Ok(Cores::List(list))
    }
}

/// The largest processor number that an affinity mask of the C library holds.
const CORE_MAX: usize = 1023;

#[cfg(test)]
mod tests {
    use super::super::tests::check_scalar;
    use super::*;

    #[track_caller]
    fn host(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |host: HostPattern| format!("{host:?}"), expect);
    }

    #[test]
    fn a_host_is_exact_or_below_a_name_or_any() {
        host("Blog.Example.com.", Ok("Exact(\"blog.example.com\")"));
        host("http://blog.example.com", Ok("Exact(\"blog.example.com\")"));
        host("*.example.com", Ok("Wildcard(\"example.com\")"));
        host("*", Ok("Any"));
        host("192.0.2.1", Ok("Exact(\"192.0.2.1\")"));
        host("[0:0::1]", Ok("Exact(\"[::1]\")"));
        host("::1", Ok("Exact(\"[::1]\")"));
        host(
            "a.*.example.com",
            Err("\"a.*.example.com\": a star stands for whole names, alone or before the first dot"),
        );
        host("*.192.0.2.1", Err("\"*.192.0.2.1\": an address has no names below it"));
        host("a:8080", Err("\"a:8080\" has a port: a host answers on every port that the site listens on"));
        host("a/b", Err("\"a/b\" has a path: paths belong to routes"));
        host("https://a", Err("\"https://a\": https:// in front of a host turns nothing on"));
        host("*.", Err("\"\" is not a host name: it is empty"));
    }

    #[track_caller]
    fn path(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |path: RoutePath| path.0, expect);
    }

    #[test]
    fn a_path_is_whole_segments() {
        path("/", Ok("/"));
        path("/blog", Ok("/blog"));
        path("/blog/", Ok("/blog"));
        path("/a/b c/ü", Ok("/a/b c/ü"));
        path("blog", Err("\"blog\" does not begin with a slash"));
        path("", Err("\"\" does not begin with a slash"));
        path("//", Err("\"//\" has empty or dot segments, which requests lose before they are routed"));
        path("/a/../b", Err("\"/a/../b\" has empty or dot segments, which requests lose before they are routed"));
        path("/api/*", Err("\"/api/*\" has a star: a path covers everything below it"));
        path("/a?b", Err("\"/a?b\" has a query: routes are chosen by path only"));
        path("/a%20b", Err("\"/a%20b\" is percent-encoded"));
        path("/a\\b", Err("\"/a\\\\b\" has a backslash or a control character, which no path has when it is routed"));
    }

    #[track_caller]
    fn target(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |target: Target| format!("{} {}", target.url, target.keep_path), expect);
    }

    #[test]
    fn a_redirect_target_keeps_the_path_unless_it_has_one() {
        target("https://example.com", Ok("https://example.com true"));
        target("http://example.com:8080", Ok("http://example.com:8080 true"));
        target("https://example.com/", Ok("https://example.com/ false"));
        target("https://example.com/new?a=b", Ok("https://example.com/new?a=b false"));
        target("https://example.com?a", Ok("https://example.com?a false"));
        target("example.com", Err("\"example.com\" is not a whole URL"));
        target("/login", Err("\"/login\" is not a whole URL"));
        target("https://a b", Err("' ' cannot be in a URL"));
        target("https://a/\r\nx: y", Err("'\\r' cannot be in a URL"));
        target("https://münchen.example", Err("'ü' cannot be in a URL"));
        target(
            "https://example.com$request_uri",
            Err(
                "\"https://example.com$request_uri\" has variables: a target without a path keeps path and query by itself",
            ),
        );
        target("https://", Err("\"\" is not a host name: it is empty"));
    }

    #[track_caller]
    fn cores(text: &str, expect: Result<&str, &str>) {
        check_scalar(text, |cores: Cores| format!("{cores:?}"), expect);
    }

    #[test]
    fn cores_are_how_many_or_which() {
        cores("2", Ok("Count(2)"));
        cores("0-2", Ok("List([0, 1, 2])"));
        cores("0,2", Ok("List([0, 2])"));
        cores("3,0-1,1", Ok("List([0, 1, 3])"));
        cores("2-2", Ok("List([2])"));
        cores("0", Err("\"0\" leaves no processor to run on"));
        cores("2-0", Err("\"2-0\" has a range that ends before it begins"));
        cores("0-4000000000", Err("\"0-4000000000\" does not name processors"));
        cores("-1", Err("\"-1\" does not name processors"));
        cores("all", Err("\"all\" does not name processors"));
        cores("0,", Err("\"0,\" does not name processors"));
    }
}
