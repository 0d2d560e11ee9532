//! The examination as a whole.

use super::*;

#[test]
fn every_subject_is_looked_at_in_order_and_whatever_is_not_well_says_what_to_do() {
    let missing = Path::new("/no/such/ringferry.toml");
    let report = examine(missing, &ConfigFile::read(missing, missing), &Running::No);
    let mut subjects: Vec<_> = report.findings.iter().map(|finding| finding.subject).collect();
    subjects.dedup();
    assert_eq!(subjects, SUBJECTS);
    for finding in &report.findings {
        assert_eq!(finding.todo.is_some(), finding.level != Level::Ok, "{finding:?}");
        for text in [Some(&finding.seen), finding.todo.as_ref()].into_iter().flatten() {
            assert!(!text.is_empty() && !text.contains('\n'), "{finding:?}");
        }
    }
    let Counts { bad, hint, ok } = report.counts;
    assert_eq!(bad + hint + ok, report.findings.len());
    assert!(report.machine.page_bytes >= 4096 && report.machine.processors > 0, "{:?}", report.machine);
}

#[test]
fn commands_are_those_of_the_place() {
    let setting = ["net.core.somaxconn=4096".to_owned()];
    assert_eq!(Advice { container: None }.sysctl(&setting), "sudo sysctl -w net.core.somaxconn=4096");
    let docker = Container::planted("docker");
    let inside = Advice { container: Some(&docker) };
    assert_eq!(inside.sysctl(&setting), "on the host: sudo sysctl -w net.core.somaxconn=4096");
}
