//! Runs Conduit: reads the options, starts the application, serves until it is told to stop.

mod bar;
mod servers;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use conduit::{App, Config, Task};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use servers::Servers;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    match run(Config::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conduit: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut config: Config) -> Result<(), Box<dyn Error>> {
    let task = config.task.take();
    let listener = match task {
        Some(_) => None,
        None => Some(
            TcpListener::bind((config.host.as_str(), config.port))
                .await
                .map_err(|error| format!("cannot listen on {}:{}: {error}", config.host, config.port))?,
        ),
    };
    // From here on a signal is a request to stop, also while starting.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let (config, servers) =
        spawn_blocking(move || Servers::complete(&mut config).map(|servers| (config, servers))).await??;
    let app = App::start(config).await?;
    let Some(listener) = listener else {
        let Some(Task::Warm(options)) = task else { return Ok(()) };
        let warmed = bar::warm(&app, &options, stop).await;
        app.close().await;
        return warmed;
    };
    println!("conduit listens on http://{}/api", listener.local_addr()?);
    println!("  database  {}{}", app.database(), servers.about_database());
    match app.store() {
        Some(store) => println!("  cache     {store}{}", servers.about_store()),
        None => println!("  cache     off"),
    }
    let cache = app.cache().clone();
    app.serve(listener, stop).await?;
    if !cache.is_off() {
        println!("what the cache did, by key:\n{}", cache.stats());
    }
    // Before its Redis, which it would miss.
    drop(cache);
    drop(servers);
    println!("conduit has stopped");
    Ok(())
}
