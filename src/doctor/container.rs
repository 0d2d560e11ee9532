//! Whether this runs in a container, which has not all that the machine has.

use super::Finding;
use super::files::Files;

/// The container around us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// `docker`, `podman`, `kubernetes`, `lxc`, or what it says of itself.
    pub(super) kind: String,
}

impl Container {
    /// Whether `docker run` has made it, or what takes the same options.
    pub(super) fn is_docker(&self) -> bool {
        ["docker", "podman"].contains(&&*self.kind)
    }

    #[cfg(test)]
    pub(super) fn planted(kind: &str) -> Container {
        Container { kind: kind.to_owned() }
    }
}

pub(super) fn read(files: &Files) -> Option<Container> {
    let groups = files.read("/proc/self/cgroup").unwrap_or_default();
    let in_group = |name: &str| groups.lines().any(|line| line.contains(name));
    // Of systemd-nspawn, lxc and others, which tell it to what they start; only root may read the second one.
    let of_first = || {
        let environment = files.read("/proc/1/environ")?;
        environment.split('\0').find_map(|variable| variable.strip_prefix("container=")).map(str::to_owned)
    };
    let told = || files.read("/run/systemd/container").or_else(of_first).filter(|kind| !kind.is_empty());
    let kind = if files.has("/run/secrets/kubernetes.io") || in_group("kubepods") {
        "kubernetes".to_owned()
    } else if files.has("/run/.containerenv") {
        "podman".to_owned()
    } else if files.has("/.dockerenv") || in_group("docker") {
        "docker".to_owned()
    } else if let Some(kind) = told() {
        kind
    } else if in_group("/lxc") {
        "lxc".to_owned()
    } else {
        return None;
    };
    Some(Container { kind })
}

pub(super) fn judge(container: Option<&Container>) -> Finding {
    match container {
        None => Finding::ok("container", "none"),
        Some(Container { kind }) => {
            Finding::ok("container", format!("{kind}, whose kernel and settings are those of the host"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_all_kinds_are_known() {
        #[track_caller]
        fn check(files: &'static [(&'static str, &'static str)], expect: Option<&str>) {
            let found = read(&Files::Planted(files));
            assert_eq!(found.as_ref().map(|container| &*container.kind), expect);
            assert_eq!(judge(found.as_ref()).seen == "none", expect.is_none());
        }
        check(&[("/proc/self/cgroup", "0::/user.slice/user-1000.slice/session-1.scope\n")], None);
        check(&[("/.dockerenv", ""), ("/proc/self/cgroup", "0::/\n")], Some("docker"));
        check(&[("/proc/self/cgroup", "11:memory:/docker/3f1c\n0::/system.slice/docker.service\n")], Some("docker"));
        check(&[("/run/.containerenv", "engine=\"podman-4.3.1\"\n")], Some("podman"));
        check(&[("/proc/self/cgroup", "0::/kubepods/besteffort/pod1/2\n")], Some("kubernetes"));
        check(&[("/run/systemd/container", "systemd-nspawn\n")], Some("systemd-nspawn"));
        check(&[("/proc/1/environ", "TERM=linux\0container=lxc\0")], Some("lxc"));
        check(&[], None);
    }
}
