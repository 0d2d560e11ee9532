//! The certificates of the sites: what is wrong with them, and how long they last. Both by the clock, so not before that is
//! right.

use super::Finding;
use super::clock::is_believed;
use crate::app::{self, Certificates, terminations, upstream_findings};
use crate::config::Severity;
use crate::model::Config;
use crate::tls::{Fault, INTERNAL};
use nix::unistd::geteuid;
use std::path::Path;

pub(super) fn judge(path: &Path, config: Option<&Config>, now_s: u64) -> Vec<Finding> {
    let Some(config) = config else {
        return vec![Finding::ok("certificates", "none: there is no configuration")];
    };
    let sites = terminations(config).count();
    if sites == 0 && !config.pools.iter().any(|pool| pool.servers.iter().any(|server| server.tls.is_some())) {
        return vec![Finding::ok("certificates", "none: no site ends TLS here")];
    }
    if !is_believed(now_s) {
        let seen = "not judged: whether they are good nobody can tell before the clock is right";
        return vec![Finding::hint("certificates", seen, "set the clock first: see there")];
    }
    let certificates = Certificates::look(config, now_s);
    let mut found = certificates.findings().to_vec();
    found.extend(upstream_findings(config));
    let is_root = geteuid().is_root();
    let mut findings: Vec<Finding> = found.iter().map(|finding| judge_one(finding, is_root)).collect();
    if findings.is_empty() {
        let until = terminations(config).filter_map(|(id, _, _)| certificates.site(id));
        let of_files = until.flat_map(|site| site.pairs()).filter(|pair| pair.origin() != INTERNAL);
        let first_end_s = of_files.map(|pair| *pair.validity_s().end()).min();
        findings.push(judge_days(path, sites, first_end_s, now_s));
    }
    findings
}

fn judge_one(found: &app::Finding, is_root: bool) -> Finding {
    let (seen, todo) = (found.to_string(), found.problem.fault.hint());
    match (&found.problem.fault, found.severity) {
        // The service may be allowed what a person who asks is not.
        (Fault::Unreadable(why), _) if !is_root && why.contains("denied") => {
            Finding::hint("certificates", seen, "sudo ringferry doctor, or ask as the user that it runs as")
        }
        (_, Severity::Error) => Finding::bad("certificates", seen, todo),
        (_, Severity::Warning) => Finding::hint("certificates", seen, todo),
    }
}

/// ACME clients renew a month before the end, so that less than this is a renewal that failed.
const SOON_DAYS: u64 = 14;

fn judge_days(path: &Path, sites: usize, first_end_s: Option<u64>, now_s: u64) -> Finding {
    let sites = if sites == 1 { "1 site ends TLS".to_owned() } else { format!("{sites} sites end TLS") };
    match first_end_s.map(|end_s| end_s.saturating_sub(now_s) / 86_400) {
        None => Finding::ok("certificates", format!("{sites}, and what they need is renewed by itself")),
        Some(days @ ..SOON_DAYS) => {
            let todo =
                format!("sudo certbot renew --deploy-hook \"ringferry reload\"; ringferry cert -c {}", path.display());
            Finding::hint("certificates", format!("{sites}; the first certificate ends in {days} days"), todo)
        }
        Some(days) => Finding::ok("certificates", format!("{sites}; the first certificate ends in {days} days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::doctor::Level;
    use crate::tls::CLOCK_FLOOR_S;

    const CONFIG: &str =
        "site = [{ host = 'a.test', upstream = 1, cert = '/no/such/cert.pem', key = '/no/such/key.pem' }]";

    #[test]
    fn certificates_are_not_judged_before_the_clock_is() {
        let judge = |text: &str, now_s| {
            let config = load(text, "a.toml").config.expect("it is good");
            judge(Path::new("a.toml"), Some(&config), now_s)
        };
        let found = judge(CONFIG, 181);
        assert_eq!((found.len(), found[0].level), (1, Level::Hint));
        assert!(found[0].seen.starts_with("not judged"), "{found:?}");
        let found = judge(CONFIG, CLOCK_FLOOR_S);
        assert_eq!(found[0].level, Level::Bad, "{found:?}");
        assert!(found[0].seen.contains("/no/such/"), "{found:?}");
        let found = judge("site = [{ host = 'a.test', upstream = 1 }]", 181);
        assert_eq!(found, [Finding::ok("certificates", "none: no site ends TLS here")]);
    }

    #[test]
    fn what_may_not_be_read_by_this_user_may_be_by_another() {
        let found = |why: &str| app::Finding {
            concerns: vec!["a.test".into()],
            severity: Severity::Error,
            problem: Fault::Unreadable(why.into()).of("/etc/a.key"),
        };
        let denied = found("Permission denied (os error 13)");
        assert_eq!(judge_one(&denied, false).level, Level::Hint);
        assert_eq!(judge_one(&denied, true).level, Level::Bad);
        assert_eq!(judge_one(&found("No such file or directory (os error 2)"), false).level, Level::Bad);
    }

    #[test]
    fn a_renewal_that_has_failed_is_told_in_time() {
        let judge = |end_s| judge_days(Path::new("a.toml"), 2, end_s, 1_764_597_000);
        let found = judge(Some(1_764_597_000 + 61 * 86_400));
        assert_eq!(found, Finding::ok("certificates", "2 sites end TLS; the first certificate ends in 61 days"));
        assert_eq!(judge(Some(1_764_597_000 + 9 * 86_400)).level, Level::Hint);
        assert_eq!(judge(None).level, Level::Ok);
    }
}
