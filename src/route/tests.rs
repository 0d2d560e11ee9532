use super::{Candidate, Explanation, Found, NoRoute, Outcome, Table, Verdict, explain, explain_name};
use crate::model::{
    Access, Action, Config, HostPattern, Listener, ListenerId, PoolId, Protocol, Rng, Route, RouteId, Site, SiteId,
    SiteTls, Termination,
};
use ringferry_parser::path::{Path, Scratch};

/// Builds a configuration from lines `listeners | hosts | paths`, one line a site, each field separated by spaces.
fn config(sites: &str) -> Config {
    let mut config = Config::default();
    for port in 80..83 {
        config.listeners.push(Listener::http(([0, 0, 0, 0], port).into(), false));
    }
    for line in sites.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let fields: Vec<Vec<&str>> = line.split('|').map(|field| field.split_whitespace().collect()).collect();
        let first = config.routes.len() as u32;
        config.routes.extend(fields[2].iter().map(|path| Route {
            path: (*path).to_owned(),
            action: Action::Proxy(PoolId(0)),
            strip_prefix: false,
            max_body: None,
            request_id: false,
            access: Access::default(),
            rate: None,
        }));
        config.sites.push(Site {
            name: fields[1][0].to_owned(),
            hosts: fields[1].iter().map(|host| pattern(host)).collect(),
            listeners: fields[0].iter().map(|n| ListenerId(n.parse().unwrap())).collect(),
            routes: first..config.routes.len() as u32,
            tls: None,
            hsts: None,
            access: Access::default(),
        });
    }
    config
}

fn pattern(host: &str) -> HostPattern {
    match host.strip_prefix("*.") {
        Some(parent) => HostPattern::Wildcard(parent.to_owned()),
        None if host == "*" => HostPattern::Any,
        None => HostPattern::Exact(host.to_owned()),
    }
}

/// `SITE /path`, or why not.
fn name(config: &Config, outcome: Result<Found, NoRoute>) -> String {
    match outcome {
        Ok(found) => {
            format!("{} {}", config.sites[found.site.index()].name, config.routes[found.route.index()].path)
        }
        Err(reason) => format!("{reason:?}"),
    }
}

/// Checks lines `listener host path → outcome`.
#[track_caller]
fn check(sites: &str, requests: &str) {
    let config = config(sites);
    let table = Table::build(&config);
    for line in requests.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (request, expect) = line.split_once(" → ").unwrap();
        let [listener, host, path] = request.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
        let listener = ListenerId(listener.parse().unwrap());
        assert_eq!(name(&config, table.find(listener, host.as_bytes(), path.as_bytes())), expect, "{line}");
    }
}

#[test]
fn the_most_specific_host_wins_whatever_the_order() {
    check(
        "0 | *               | /
         0 | *.example.com   | /
         0 | *.a.example.com | /
         0 | a.example.com   | /
         0 | [::1]           | /",
        "0 a.example.com     / → a.example.com /
         0 b.example.com     / → *.example.com /
         0 c.b.example.com   / → *.example.com /
         0 x.a.example.com   / → *.a.example.com /
         0 y.x.a.example.com / → *.a.example.com /
         0 example.com       / → * /
         0 .example.com      / → * /
         0 xexample.com      / → * /
         0 com               / → * /
         0 [::1]             / → [::1] /",
    );
}

#[test]
fn an_unknown_host_gets_no_site() {
    check(
        "0 | example.com   | /
         0 | *.example.org | /",
        "0 example.net     / → Host
         0 www.example.com / → Host
         0 example.org     / → Host
         0 .example.org    / → Host
         0 www.example.org / → *.example.org /",
    );
}

#[test]
fn a_prefix_ends_at_a_segment() {
    check(
        "0 | a | /blog / /blog/2024/best /docs/api",
        "0 a /              → a /
         0 a /blog          → a /blog
         0 a /blog/         → a /blog
         0 a /blog/x        → a /blog
         0 a /blogger       → a /
         0 a /blo           → a /
         0 a /Blog          → a /
         0 a /blog/2024     → a /blog
         0 a /blog/2024/best → a /blog/2024/best
         0 a /blog/2024/best/x/y → a /blog/2024/best
         0 a /blog/2024/bes → a /blog
         0 a /docs          → a /
         0 a //blog         → a /
         0 a /docs/api/     → a /docs/api",
    );
}

#[test]
fn a_site_without_a_route_for_the_path_does_not_hand_over_to_another() {
    check(
        "0 | a | /blog
         0 | * | /",
        "0 a /blog/x → a /blog
         0 a /other  → Path
         0 a /       → Path
         0 b /other  → * /",
    );
}

#[test]
fn a_site_answers_on_its_listeners_only() {
    check(
        "0 1 | a | /
         2   | a *.b | /special
         1   | * | /",
        "0 a   / → a /
         1 a   / → a /
         2 a   / → Path
         2 a   /special → a /special
         0 x.b / → Host
         1 x.b / → * /
         2 x.b /special → a /special
         2 c   / → Host",
    );
}

#[test]
fn both_views_of_the_path_choose_one_route() {
    #[track_caller]
    fn check(path: &str, expect: &str) {
        let config = config("0 | a | /open /open/admin /myü\n0 | b | /");
        let mut scratch = Scratch::default();
        let read = Path::read(path, &mut scratch).unwrap();
        let outcome = Table::build(&config).find_agreeing(ListenerId(0), b"a", &read);
        assert_eq!(name(&config, outcome), expect, "{path}");
    }
    check("/open/x", "a /open");
    check("/open/%78", "a /open");
    check("/open/%2e%2e/open/x", "a /open");
    check("/open/%61dmin", "a /open/admin");
    check("/%6fpen", "a /open");
    check("/my%c3%bc/x", "a /myü");
    check("/open/admin/../x", "Ambiguous");
    check("/open/%2Fadmin", "Ambiguous");
    check("/open%2Fadmin", "Ambiguous");
    check("/open/x%5c..%5cadmin", "Ambiguous");
    check("/open/x/%2e%2e/admin", "Ambiguous");
    check("/open/../x", "Ambiguous");
    check("/open/%252Fadmin", "a /open");
    check("/y/../x", "Path");
    check("/x", "Path");
}

#[test]
fn a_host_of_thousands_of_labels_is_cut_to_what_a_wildcard_can_match() {
    let config = config("0 | *.example.com | /");
    let table = Table::build(&config);
    let long = "a.".repeat(30_000);
    assert_eq!(
        name(&config, table.find(ListenerId(0), format!("{long}example.com").as_bytes(), b"/")),
        "*.example.com /"
    );
    assert_eq!(name(&config, table.find(ListenerId(0), long.as_bytes(), b"/")), "Host");
}

fn explained(table: &Table, config: &Config, listener: ListenerId, host: &str, path: &str) -> Explanation {
    explain(table, config, listener, host, &Path::read(path, &mut Scratch::default()).unwrap())
}

#[test]
fn an_explanation_names_the_winner_and_why_the_others_lost() {
    let config = config(
        "0   | *             | /
         0 1 | a.example.com | / /blog /blog/x /docs
         0   | *.example.com | /
         0   | b.example.com | /
         1   | a.example.com *.com | /",
    );
    let table = Table::build(&config);
    let explain = |listener, host, path| explained(&table, &config, ListenerId(listener), host, path);
    let explanation = explain(0, "a.example.com", "/blog/y");
    assert_eq!(explanation.outcome, Outcome::Route(Found { site: SiteId(1), route: RouteId(2) }));
    assert_eq!(
        explanation.candidates.iter().map(|Candidate { verdict, .. }| *verdict).collect::<Vec<_>>(),
        [
            Verdict::LessSpecificHost,
            Verdict::ShorterPrefix,
            Verdict::Wins,
            Verdict::OtherPath,
            Verdict::OtherPath,
            Verdict::LessSpecificHost,
            Verdict::OtherHost,
            Verdict::OtherListener,
        ]
    );
    assert_eq!(
        explanation.to_string(),
        "a.example.com/blog/y on http://0.0.0.0:80
  site a.example.com, route /blog: answers
  site *: matches, but a more specific host wins
  site a.example.com, route /: matches, but a longer path wins
  site a.example.com, route /blog/x: another path
  site a.example.com, route /docs: another path
  site *.example.com: matches, but a more specific host wins
  site b.example.com: another host
  site a.example.com: the host matches, but on other listeners only
"
    );

    let nothing = explain(1, "c.example.org", "/");
    assert_eq!(nothing.outcome, Outcome::Refused(NoRoute::Host));
    assert!(nothing.to_string().contains("no route: no site has this host (421)"));
}

#[test]
fn an_explanation_of_an_ambiguous_path_names_both_choices() {
    #[track_caller]
    fn check(path: &str, expect: &str) {
        let config = config("0 | a | /open /open/admin /other");
        let explained = explained(&Table::build(&config), &config, ListenerId(0), "a", path).to_string();
        assert_eq!(explained.lines().map(str::trim).collect::<Vec<_>>(), expect.lines().collect::<Vec<_>>());
    }
    let (a, b) = ("a/open/%2Fadmin on http://0.0.0.0:80", "a/open/../x on http://0.0.0.0:80");
    let no_route = "no route: the path as sent and its normal form choose different routes (400)";
    check(
        "/open/%2Fadmin",
        &format!(
            "{a}\nin normal form: /open/admin\n{no_route}\nsite a, route /open: the path as sent chooses it\n\
             site a, route /open/admin: the normal form of the path chooses it\nsite a, route /other: another path"
        ),
    );
    check(
        "/open/../x",
        &format!(
            "{b}\nin normal form: /x\n{no_route}\nsite a, route /open: the path as sent chooses it\n\
             site a, route /open/admin: another path\nsite a, route /other: another path"
        ),
    );
    check(
        "/%6Fpen/%78",
        "a/%6Fpen/%78 on http://0.0.0.0:80\nin normal form: /open/x\nsite a, route /open: answers\n\
         site a, route /open/admin: another path\nsite a, route /other: another path",
    );
}

/// Checks what a client gets on the listener of number 1, where TLS is spoken, or of number 0, where it is not.
#[track_caller]
fn check_tls(listener: u32, host: &str, path: Option<&str>, expect: Outcome) {
    let mut config = config(
        "0 1 | a *.a 192.0.2.1 | / /blog
         0 1 | p             | /
         0   | plain         | /
         1   | b             | /x",
    );
    config.listeners[1].protocol = Protocol::Https;
    let terminated = || Some(SiteTls::Terminate(Termination { certificates: Vec::new(), client_ca: None }));
    (config.sites[0].tls, config.sites[3].tls) = (terminated(), terminated());
    config.sites[1].tls = Some(SiteTls::Passthrough);
    let (table, listener) = (Table::build(&config), ListenerId(listener));
    let explanation = match path {
        Some(path) => explained(&table, &config, listener, host, path),
        None => explain_name(&table, &config, listener, host),
    };
    assert_eq!(explanation.outcome, expect);
    let winner = explanation.candidates.iter().find(|candidate| candidate.verdict == Verdict::Wins);
    assert_eq!(winner.is_some(), explanation.outcome.refusal().is_none(), "{explanation}");
}

#[test]
fn tls_is_chosen_by_name_and_then_by_path() {
    let found = |site, route| Outcome::Route(Found { site: SiteId(site), route: RouteId(route) });
    check_tls(1, "a", Some("/blog/1"), found(0, 1));
    check_tls(1, "b", Some("/x"), found(3, 4));
    check_tls(1, "b", Some("/"), Outcome::Refused(NoRoute::Path));
    check_tls(1, "p", Some("/blog/1"), Outcome::PassedThrough(SiteId(1)));
    check_tls(1, "plain", Some("/"), Outcome::UnknownName);
    // Clients send no name for an address (RFC 6066 section 3), and no site here is for those without.
    check_tls(1, "192.0.2.1", Some("/"), Outcome::UnknownName);
}

#[test]
fn a_name_alone_says_where_tls_ends() {
    check_tls(1, "x.a", None, Outcome::Terminated(SiteId(0)));
    check_tls(1, "p", None, Outcome::PassedThrough(SiteId(1)));
    check_tls(1, "plain", None, Outcome::UnknownName);
    check_tls(1, "", None, Outcome::UnknownName);
}

#[test]
fn without_tls_a_site_that_has_it_redirects_to_where_it_has() {
    let found = |site, route| Found { site: SiteId(site), route: RouteId(route) };
    check_tls(0, "a", Some("/blog/1"), Outcome::ToHttps(found(0, 1), "https://a:81/blog/1".into()));
    check_tls(0, "p", Some("/"), Outcome::ToHttps(found(1, 2), "https://p:81/".into()));
    check_tls(0, "plain", Some("/"), Outcome::Route(Found { site: SiteId(2), route: RouteId(3) }));
    check_tls(0, "b", Some("/x"), Outcome::Refused(NoRoute::Host));
}

#[test]
fn a_host_that_tls_was_not_made_for_is_told_apart_from_the_one_that_it_was() {
    let mut config = config("0 | * | /\n0 | 192.0.2.1 | /");
    config.listeners[0].protocol = Protocol::Https;
    for site in &mut config.sites {
        site.tls = Some(SiteTls::Terminate(Termination { certificates: Vec::new(), client_ca: None }));
    }
    let explanation = explained(&Table::build(&config), &config, ListenerId(0), "192.0.2.1", "/");
    let found = Found { site: SiteId(1), route: RouteId(1) };
    assert_eq!(explanation.outcome, Outcome::OtherSite(SiteId(0), found));
    let verdicts: Vec<_> = explanation.candidates.iter().map(|candidate| candidate.verdict).collect();
    assert_eq!(verdicts, [Verdict::HasName, Verdict::HasHost]);
}

#[test]
fn the_table_answers_as_a_search_through_all_sites_would() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let config = config(&random_sites(&mut rng));
        let table = Table::build(&config);
        for _ in 0..200 {
            let listener = ListenerId(rng.below(3) as u32);
            let host = random_name(&mut rng, ".", 4);
            let path = format!("/{}{}", random_name(&mut rng, "/", 4), ["", "/"][rng.below(2) as usize]);
            let expect = search(&config, listener, &host, &path);
            assert_eq!(
                table.find(listener, host.as_bytes(), path.as_bytes()),
                expect,
                "seed {seed}: {listener:?} {host}{path}"
            );
            let explained = explained(&table, &config, listener, &host, &path);
            let winner = explained.candidates.iter().find(|c| c.verdict == Verdict::Wins);
            assert_eq!(winner.and_then(|c| c.route.as_ref()).map(|r| r.0), expect.ok().map(|found| found.route));
        }
    }
}

fn random_sites(rng: &mut Rng) -> String {
    let mut sites = String::new();
    for _ in 0..rng.below(12) {
        let listeners = ["0", "1", "0 1", "2", "0 1 2"][rng.below(5) as usize];
        let mut hosts = String::new();
        for _ in 0..=rng.below(2) {
            hosts += &match rng.below(8) {
                0 => " *".to_owned(),
                1..4 => format!(" *.{}", random_name(rng, ".", 3)),
                _ => format!(" {}", random_name(rng, ".", 3)),
            };
        }
        let paths: String = (0..=rng.below(4)).map(|_| format!(" /{}", random_name(rng, "/", 3))).collect();
        sites += &format!("{listeners} | {hosts} | {paths}\n");
    }
    sites
}

/// One or more of few labels, so that random names often agree.
fn random_name(rng: &mut Rng, separator: &str, labels_max: u64) -> String {
    let labels: Vec<&str> = (0..=rng.below(labels_max)).map(|_| ["a", "b", "aa"][rng.below(3) as usize]).collect();
    labels.join(separator)
}

/// The rule as a person would say it, one site after the other.
fn search(config: &Config, listener: ListenerId, host: &str, path: &str) -> Result<Found, NoRoute> {
    let host_rank = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (name == host).then_some(usize::MAX),
        HostPattern::Wildcard(parent) => host.ends_with(&format!(".{parent}")).then_some(parent.len()),
        HostPattern::Any => Some(0),
    };
    let mut best = None;
    for (n, site) in config.sites.iter().enumerate().filter(|(_, site)| site.listeners.contains(&listener)) {
        let rank = site.hosts.iter().filter_map(host_rank).max();
        // Strictly better: the first of two equal sites stays.
        if rank.is_some() && best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, n));
        }
    }
    let (_, n) = best.ok_or(NoRoute::Host)?;
    let mut longest: Option<RouteId> = None;
    let length = |id: RouteId| config.routes[id.index()].path.len();
    for id in config.sites[n].route_ids() {
        let prefix = config.routes[id.index()].path.trim_end_matches('/');
        let matches = path == prefix || path.starts_with(&format!("{prefix}/"));
        if matches && longest.is_none_or(|other| length(id) > length(other)) {
            longest = Some(id);
        }
    }
    Ok(Found { site: SiteId(n as u32), route: longest.ok_or(NoRoute::Path)? })
}
