use crate::Finish;
pub(crate) fn run(_a: &crate::args::EventsArgs) -> anyhow::Result<Finish> { anyhow::bail!("not yet") }
