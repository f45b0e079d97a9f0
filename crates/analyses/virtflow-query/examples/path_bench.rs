//! How long critical paths take: `path_bench STORE [WORKERS]`, of the workers with most intervals,
//! over all of the store's time.

use std::path::Path;
use std::time::Instant;
use virtflow_query::store::Store;
use virtflow_query::{Grain, critical_path, is_worker};

#[expect(clippy::print_stdout, reason = "what it measured")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("path_bench STORE [WORKERS]")?;
    let count: usize = args.next().map_or(Ok(5), |n| n.parse())?;
    let store = Store::open(Path::new(&path))?;
    let chunks = &store.manifest().chunks;
    let intervals: u64 = chunks.iter().map(|c| c.intervals + c.carried).sum();
    let edges: u64 = chunks.iter().map(|c| c.edges).sum();
    println!(
        "{intervals} intervals and {edges} edges between lanes, {} chunks",
        chunks.len()
    );
    let mut workers: Vec<_> = store.entities().iter().collect();
    workers.retain(|e| is_worker(&store, e.entity) && e.vcpu.is_none_or(|_| e.tid.is_some()));
    workers.sort_by_key(|e| std::cmp::Reverse(e.intervals));
    for e in workers.into_iter().take(count) {
        let begun = Instant::now();
        let grain = Grain::of(&store, e.entity);
        let path = critical_path(&store, e.entity, e.begin_ns, e.end_ns, grain)?;
        let seconds = begun.elapsed().as_secs_f64();
        let steps = path.steps.len();
        println!(
            "{:40} {grain:?}: {steps} steps, {} waits, {seconds:.3} s, {:.2} s per million",
            e.key,
            path.waits.len(),
            seconds / steps.max(1) as f64 * 1e6,
        );
    }
    Ok(())
}
