//! The files in which a Linux machine tells about itself.

use std::fs;

/// Where they are.
pub(super) enum Files {
    /// On this machine.
    System,
    /// In a test: paths and texts.
    #[cfg(test)]
    Planted(&'static [(&'static str, &'static str)]),
}

impl Files {
    /// The text of a file, without what surrounds it; `None` where there is none, or none for us.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let text = match self {
            // The device tree ends its texts with a zero.
            Files::System => String::from_utf8_lossy(&fs::read(path).ok()?).into_owned(),
            #[cfg(test)]
            Files::Planted(files) => files.iter().find(|(name, _)| *name == path)?.1.to_owned(),
        };
        Some(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned())
    }

    /// The last number of a file: `4096 87380 6291456`.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.split_whitespace().last()?.parse().ok()
    }

    /// Whether there is something.
    pub(super) fn has(&self, path: &str) -> bool {
        match self {
            Files::System => fs::exists(path).unwrap_or(false),
            #[cfg(test)]
            Files::Planted(_) => self.read(path).is_some() || !self.list(path).is_empty(),
        }
    }

    /// The paths of what is in a folder, in order.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let mut paths: Vec<String> = match self {
            Files::System => {
                let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
                entries.map(|entry| entry.path().to_string_lossy().into_owned()).collect()
            }
            #[cfg(test)]
            Files::Planted(files) => {
                let below = files.iter().filter_map(|(path, _)| path.strip_prefix(folder)?.strip_prefix('/'));
                below.filter_map(|path| Some(format!("{folder}/{}", path.split('/').next()?))).collect()
            }
        };
        paths.sort();
        paths.dedup();
        paths
    }
}
