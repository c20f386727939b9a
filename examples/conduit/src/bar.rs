//! `conduit warm`: a progress bar for people, one line a set for whoever reads the output.

use std::error::Error;
use std::future::Future;
use std::sync::Mutex;
use std::sync::PoisonError;

use conduit::{App, WarmOptions, Warmable};
use indicatif::{ProgressBar, ProgressStyle};

/// Warms all sets, or says where to go on.
pub(crate) async fn warm(
    app: &App,
    options: &WarmOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    if app.cache().is_off() {
        return Err("there is no cache to warm: CACHE is off".into());
    }
    let mut stop = std::pin::pin!(stop);
    for set in options.sets()? {
        let (bar, reached) = (bar(set), Mutex::new(options.from));
        let run = app.warm(set, options, |progress| {
            bar.set_length(progress.total_hint.unwrap_or(progress.position));
            bar.set_position(progress.position);
            bar.set_message(progress.to_string());
            *reached.lock().unwrap_or_else(PoisonError::into_inner) = progress.position;
        });
        tokio::select! {
            progress = run => {
                bar.finish_and_clear();
                println!("{set} {}", progress?);
            }
            () = &mut stop => {
                bar.abandon();
                let reached = *reached.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(format!("stopped; go on with `warm {set} --from {reached}`").into());
            }
        }
    }
    Ok(())
}

fn bar(set: Warmable) -> ProgressBar {
    // Where nobody looks (no terminal) it draws nothing.
    let style =
        ProgressStyle::with_template("{prefix:9} {bar:30} {percent:>3} % {per_sec:>10} {eta:>4}  {msg}");
    let bar = ProgressBar::new(0).with_prefix(set.to_string());
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}
