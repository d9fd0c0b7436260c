//! What this machine can put around a program.

use std::path::Path;

use serde::Serialize;

/// A wall around a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Files: the system's for reading, a granted folder, and nothing else.
    Landlock,
    /// Calls of the kernel: no network, no tracing, no namespaces.
    Seccomp,
    /// Namespaces around the other layers.
    Bubblewrap,
}

impl Layer {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Bubblewrap => "bubblewrap",
        }
    }
}

/// Which walls there are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layers {
    /// The version of Landlock in the kernel; 0 when there is none.
    pub landlock: i32,
    pub seccomp: bool,
    /// Whether bubblewrap is wanted, and there.
    pub bubblewrap: Option<bool>,
}

impl Layers {
    /// Looks at this machine.
    pub fn probe(bubblewrap: Option<&Path>) -> Self {
        Self {
            landlock: landlock_version(),
            seccomp: std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
                && crate::launch::calls::is_known_machine(),
            bubblewrap: bubblewrap.map(Path::is_file),
        }
    }

    /// What is missing of what every program must have around it.
    pub fn missing(&self) -> Vec<Layer> {
        let mut missing = Vec::new();
        if self.landlock == 0 {
            missing.push(Layer::Landlock);
        }
        if !self.seccomp {
            missing.push(Layer::Seccomp);
        }
        if self.bubblewrap == Some(false) {
            missing.push(Layer::Bubblewrap);
        }
        missing
    }

    /// A line for people.
    pub fn summary(&self) -> String {
        let landlock = match self.landlock {
            0 => "no landlock".to_owned(),
            version => format!("landlock {version}"),
        };
        let seccomp = if self.seccomp { "seccomp" } else { "no seccomp" };
        let bubblewrap = match self.bubblewrap {
            None => "bubblewrap not configured",
            Some(true) => "bubblewrap",
            Some(false) => "bubblewrap missing",
        };
        format!("{landlock}, {seccomp}, {bubblewrap}")
    }
}

/// The version of Landlock that the kernel offers, 0 for none.
pub(crate) fn landlock_version() -> i32 {
    crate::launch::sys::landlock_version()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_wanted_and_not_there_is_missing() {
        let all = Layers { landlock: 6, seccomp: true, bubblewrap: None };
        assert_eq!(all.missing(), Vec::<Layer>::new());
        let none = Layers { landlock: 0, seccomp: false, bubblewrap: Some(false) };
        assert_eq!(none.missing(), [Layer::Landlock, Layer::Seccomp, Layer::Bubblewrap]);
        assert_eq!(none.summary(), "no landlock, no seccomp, bubblewrap missing");
    }
}
