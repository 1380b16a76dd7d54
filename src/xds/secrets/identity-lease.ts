import type { Timers } from "../../lib/timers.js";
import type { AuthorityState, IssuedIdentity } from "./identities.js";

/** What a certificate says and who signed it: one that differs in either is replaced. */
interface Claim {
  readonly services: readonly string[];
  readonly signer: string;
}

/**
 * The certificate of one proxy on one stream.
 *
 *     waiting ──────> issuing ──────> live
 *        ^            ^  │  ^           │ services or signer changed, or 80 % of its life is over
 *        │            │  v  └───────────┘
 *        └───────── failed (tries again by itself)
 *
 * `waiting` also follows from issuing, when the Dataplane or the authority goes meanwhile, and `ended` from each of
 * them. What the proxy holds stays in use through every state but the last.
 */
export type LeaseState =
  /** The Dataplane or a usable authority is missing. */
  | { readonly kind: "waiting" }
  | { readonly kind: "issuing"; readonly claim: Claim }
  | { readonly kind: "live"; readonly claim: Claim; readonly identity: IssuedIdentity }
  | { readonly kind: "failed"; readonly claim: Claim }
  | { readonly kind: "ended" };

export interface IdentityLease {
  readonly state: LeaseState;
  /** What the proxy is at present and who can sign it; undefined while either is missing. */
  follow(subject: { readonly services: readonly string[]; readonly authority: ReadyAuthority } | undefined): void;
  end(): void;
}

export type ReadyAuthority = Extract<AuthorityState, { kind: "ready" }>;

export interface LeaseOptions {
  /** A new certificate for the proxy. */
  issued(identity: IssuedIdentity): void;
  /** A certificate can't be made; it is tried again by itself. */
  failed(error: unknown): void;
  /** Asked before each certificate: false ends the lease, as whoever holds it can no longer prove who it is. */
  mayIssue(): boolean;
  /** Runs the work when its turn comes: many leases must not issue at once. */
  readonly pace: (work: () => Promise<void>) => void;
  readonly timers: Timers;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Renewal comes at 80 % of a certificate's life, moved by up to 5 % either way so that proxies don't come together. */
const renewalPoint = 0.8;
const renewalJitter = 0.05;

/** A timer can't run longer than 24 days, and a machine that slept must notice soon. */
const longestTimerMs = 3_600_000;
const retryMs = 5_000;

const sameClaim = (a: Claim, b: Claim) =>
  a.signer === b.signer && a.services.length === b.services.length && a.services.every((s, i) => s === b.services[i]);

export function createLease(options: LeaseOptions): IdentityLease {
  const { timers, now, random } = options;
  let state: LeaseState = { kind: "waiting" };
  let authority: ReadyAuthority | undefined;
  let timer: unknown;

  function stopTimer(): void {
    if (timer !== undefined) timers.clear(timer);
    timer = undefined;
  }

  /** Calls back at a time, at once when it is past. */
  function at(time: number, callback: () => void): void {
    stopTimer();
    const left = time - now();
    timer = timers.set(
      () => (now() >= time ? callback() : at(time, callback)),
      Math.min(Math.max(left, 0), longestTimerMs),
    );
  }

  function renewalTime({ notAfter }: IssuedIdentity, issuedAt: number): number {
    const point = renewalPoint + (random() * 2 - 1) * renewalJitter;
    return issuedAt + (notAfter.getTime() - issuedAt) * point;
  }

  function again(): void {
    if (state.kind === "live" || state.kind === "failed") issue(state.claim);
  }

  function issue(claim: Claim): void {
    stopTimer();
    const signing = authority;
    if (signing === undefined) return;
    if (!options.mayIssue()) {
      end();
      return;
    }
    const issuing: LeaseState = { kind: "issuing", claim };
    state = issuing;
    options.pace(async () => {
      // Whatever came meanwhile has started an issue of its own.
      if (state !== issuing) return;
      const issuedAt = now();
      try {
        const identity = await signing.issue(claim.services);
        if (state !== issuing) return;
        state = { kind: "live", claim, identity };
        at(renewalTime(identity, issuedAt), again);
        options.issued(identity);
      } catch (error) {
        if (state !== issuing) return;
        state = { kind: "failed", claim };
        at(now() + retryMs, again);
        options.failed(error);
      }
    });
  }

  function end(): void {
    stopTimer();
    state = { kind: "ended" };
  }

  return {
    get state() {
      return state;
    },
    follow(subject) {
      if (state.kind === "ended") return;
      authority = subject?.authority;
      if (subject === undefined) {
        // A live certificate stays live: it is the proxy's until it dies. Only its renewal has to wait.
        if (state.kind !== "live") {
          stopTimer();
          state = { kind: "waiting" };
        }
        return;
      }
      const claim = { services: subject.services, signer: subject.authority.signer };
      if (state.kind !== "waiting" && sameClaim(state.claim, claim)) {
        // Its turn may have come while there was nobody to sign.
        if (timer === undefined) again();
        return;
      }
      issue(claim);
    },
    end,
  };
}
