//! The folder of a run, as people name it.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

/// Takes `results/shop` for `results/shop/latest`, its last run, and any other path as it is.
pub(super) fn of_run() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|path| {
        let latest = path.join("latest");
        let is_run = ["run.json", "summary.json"].iter().any(|file| path.join(file).exists());
        if !is_run && latest.is_dir() { latest } else { path }
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn the_folder_of_a_scenario_stands_for_its_last_run() {
        let folder = std::env::temp_dir().join(format!("lab-folder-{}", std::process::id()));
        let latest = folder.join("shop/latest");
        std::fs::create_dir_all(&latest).unwrap();
        std::fs::write(latest.join("run.json"), "{}").unwrap();
        let command = clap::Command::new("lab");
        let named = |path: &PathBuf| of_run().parse_ref(&command, None, path.as_os_str()).unwrap();
        assert_eq!(named(&folder.join("shop")), latest);
        assert_eq!(named(&latest), latest);
        assert_eq!(named(&folder), folder, "nothing there says which run");
        let file = of_run().parse_ref(&command, None, OsStr::new("shop.toml")).unwrap();
        assert_eq!(file, PathBuf::from("shop.toml"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
