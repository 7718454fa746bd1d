//! `--set KEY=VALUE`: keys of a scenario replaced on the command line.

use clap::Args;

/// What the command line replaces in a scenario.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Overrides {
    /// Replace a key of the scenario, such as `balancer.algorithm=random`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

impl Overrides {
    /// Keys and values, in the order given.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.set
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
