use crate::Finish;
pub(crate) fn run(_a: &crate::args::InfoArgs) -> anyhow::Result<Finish> { anyhow::bail!("not yet") }
