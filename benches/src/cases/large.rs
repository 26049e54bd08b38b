//! Large.
use std::path::Path;
/// Options.
#[derive(Clone, Debug, clap::Args)]
pub struct Large {
    /// Rows
    #[arg(long, default_value_t = 8_000_000)]
    pub rows: u64,
}
/// Writes.
pub fn write_large(_options: &Large, _out: &Path) -> anyhow::Result<()> {
    Ok(())
}
