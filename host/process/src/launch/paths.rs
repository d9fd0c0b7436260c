//! Landlock: which files a program sees.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::Order;

/// Every right that this code knows; an older kernel takes those that it knows itself.
const KNOWN: ABI = ABI::V6;

/// What every program may read: code, and the facts of the system that libraries look at. No `/etc` as a whole, no
/// `/proc`, no home, no `/tmp`, no `/var`.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/alternatives",
];
/// Devices that hold nothing.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Where the loaders of programs are.
const LOADERS: [&str; 8] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-armhf.so.3",
    "/lib/ld-linux.so.2",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
    "/lib/ld-linux-riscv64-lp64d.so.1",
    "/lib64/ld64.so.2",
];

/// Puts the wall around this process and all that it becomes and starts.
pub fn restrict(order: &Order) -> Result<(), String> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = AccessFs::Execute | AccessFs::ReadFile;
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .map_err(|error| said(&error))?;
    let mut rules = rules.set_compatibility(CompatLevel::BestEffort);
    for path in SYSTEM {
        rules = beneath(rules, Path::new(path), read, Missing::Skipped)?;
    }
    for path in DEVICES {
        rules = beneath(rules, Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile, Missing::Skipped)?;
    }
    for path in LOADERS {
        rules = beneath(rules, Path::new(path), run, Missing::Skipped)?;
    }
    for path in &order.read {
        rules = beneath(rules, path, read, Missing::IsAnError)?;
    }
    for path in &order.write {
        // Everything below it but running what lies there.
        rules = beneath(rules, path, AccessFs::from_all(KNOWN) & !AccessFs::Execute, Missing::IsAnError)?;
    }
    for path in order.execute.iter().chain([&order.path]) {
        rules = beneath(rules, path, run | AccessFs::ReadDir, Missing::IsAnError)?;
    }
    for port in &order.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(|error| said(&error))?;
    }
    let status = rules.restrict_self().map_err(|error| said(&error))?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("the kernel does not enforce it".to_owned());
    }
    Ok(())
}

/// What becomes of a rule for a path that is not there.
enum Missing {
    Skipped,
    IsAnError,
}

fn beneath(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
    missing: Missing,
) -> Result<RulesetCreated, String> {
    let opened = match PathFd::new(path) {
        Ok(opened) => opened,
        Err(error) => {
            return match missing {
                Missing::Skipped => Ok(rules),
                Missing::IsAnError => Err(format!("{}: {error}", path.display())),
            };
        }
    };
    // A file takes no rights of folders.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
    rules.add_rule(PathBeneath::new(opened, access)).map_err(|error| format!("{}: {error}", path.display()))
}
