//! Every crate of the workspace: where it lies, what it is called, what it takes from the workspace.

use super::Complaints;
use crate::repo::Source;
use cargo_metadata::{DependencyKind, Metadata};

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Its folder from the root: `crates/base/virtflow-base`.
    pub(super) folder: String,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Only for its tests.
    pub(super) dev: bool,
}

impl Member {
    /// `base` for `crates/base/virtflow-base`; the folder itself for what lies elsewhere.
    pub(super) fn layer(&self) -> &str {
        self.folder
            .strip_prefix("crates/")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or(&self.folder)
    }
}

pub(super) fn members(metadata: &Metadata) -> Vec<Member> {
    let member = |package: &&cargo_metadata::Package| {
        let folder = package.manifest_path.parent()?;
        let folder = folder.strip_prefix(&metadata.workspace_root).ok()?;
        let dependencies = package.dependencies.iter().map(|dependency| Dependency {
            name: dependency.name.clone(),
            dev: dependency.kind == DependencyKind::Development,
        });
        Some(Member {
            name: package.name.to_string(),
            folder: folder.as_str().to_owned(),
            dependencies: dependencies.collect(),
        })
    };
    metadata
        .workspace_packages()
        .iter()
        .filter_map(member)
        .collect()
}

/// Folder = name, the workspace's lints, and one version of each dependency.
pub(super) fn check(members: &[Member], files: &[Source]) -> Complaints {
    let mut out = Complaints::new();
    for member in members {
        let Member { name, folder, .. } = member;
        if folder.rsplit('/').next() != Some(name) {
            out.push(format!(
                "{folder}: holds crate {name}; a folder is called as its crate, so that it is found"
            ));
        }
        let manifest = format!("{folder}/Cargo.toml");
        match files.iter().find(|file| file.path == manifest) {
            Some(file) => out.extend(manifest_text(&manifest, file.text().unwrap_or_default())),
            None => out.push(format!("{manifest}: not in git")),
        }
    }
    if let Some(lock) = files.iter().find(|file| file.path == "Cargo.lock") {
        out.extend(lock_sources(lock.text().unwrap_or_default()));
    } else {
        out.push("Cargo.lock: not in git; a build must be the same everywhere".into());
    }
    out
}

fn manifest_text(path: &str, text: &str) -> Complaints {
    let mut out = Complaints::new();
    let mut section = "";
    let mut lints = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            continue;
        }
        let Some((key, value)) = line.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else {
            continue;
        };
        lints |= (section == "lints" && key == "workspace" && value == "true")
            || (key == "lints.workspace" && value == "true");
        let in_dependencies =
            section.ends_with("dependencies") && !section.starts_with("workspace");
        let inherited = key.ends_with(".workspace") || value.contains("workspace = true");
        if in_dependencies && !inherited {
            out.push(format!(
                "{path}:{}: {key} is not `workspace = true`; the root's Cargo.toml holds the one version of each dependency",
                number + 1
            ));
        }
    }
    if !lints {
        out.push(format!(
            "{path}: without `lints.workspace = true` the workspace's lints do not hold here"
        ));
    }
    out
}

/// Packages that do not come from crates.io cannot be had by others.
fn lock_sources(text: &str) -> Complaints {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let wrong = text
        .lines()
        .filter(|line| line.starts_with("source = ") && *line != public);
    wrong
        .map(|line| format!("Cargo.lock: {line}: not crates.io, so that others cannot build it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, folder: &str) -> Member {
        Member {
            name: name.into(),
            folder: folder.into(),
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn a_folder_is_called_as_its_crate() {
        let good = "[lints]\nworkspace = true\n";
        let files = [
            Source::of("crates/base/a/Cargo.toml", good),
            Source::of("Cargo.lock", ""),
        ];
        assert!(check(&[member("a", "crates/base/a")], &files).is_empty());
        let wrong = check(&[member("b", "crates/base/a")], &files);
        assert!(wrong[0].contains("holds crate b"), "{wrong:?}");
        let absent = check(&[member("c", "crates/base/c")], &files[..1]);
        assert_eq!(absent.len(), 2, "{absent:?}");
    }

    #[test]
    fn manifests_inherit() {
        let good = "[package]\nname = \"x\"\n[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\nclap = { workspace = true, features = [\"env\"] }\n";
        assert!(manifest_text("m", good).is_empty());
        assert_eq!(manifest_text("m", "[dependencies]\n").len(), 1, "no lints");
        let own = good.replace("serde.workspace = true", "serde = \"1\"");
        assert!(manifest_text("m", &own)[0].starts_with("m:6: serde "));
        let own = good.replace(
            "[dependencies]",
            "[target.'cfg(unix)'.dev-dependencies]\nlibc = \"0.2\"\n[dependencies]",
        );
        assert_eq!(manifest_text("m", &own).len(), 1);
    }

    #[test]
    fn locks_name_the_public_registry_only() {
        assert!(
            lock_sources("source = \"registry+https://github.com/rust-lang/crates.io-index\"\n")
                .is_empty()
        );
        assert_eq!(
            lock_sources("source = \"registry+https://mirror.invalid/\"\n").len(),
            1
        );
        assert_eq!(
            lock_sources("source = \"git+https://github.com/a/b#1\"\n").len(),
            1
        );
    }
}
