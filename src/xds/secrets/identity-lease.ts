import type { Timers } from "../../lib/timers.js";
import type { AuthorityState, IssuedIdentity } from "./identities.js";

/** A certificate's services and its signer. If either changes, the certificate is replaced. */
interface Claim {
  readonly services: readonly string[];
  readonly signer: string;
}

/**
 * The certificate of one proxy on one stream.
 *
 *     waiting ──────> issuing ──────> live
 *        ^            ^  │  ^           │ services or signer changed, or 80 % of its validity has passed
 *        │            │  v  └───────────┘
 *        └───────── failed (retried automatically)
 *
 * `issuing` also returns to `waiting` when the Dataplane or the authority disappears, and every state can change to
 * `ended`. The proxy's certificate stays in use in every state except `ended`.
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
  /** Sets the proxy's current services and authority; undefined while either is missing. */
  follow(subject: { readonly services: readonly string[]; readonly authority: ReadyAuthority } | undefined): void;
  end(): void;
}

export type ReadyAuthority = Extract<AuthorityState, { kind: "ready" }>;

export interface LeaseOptions {
  /** Called with each new certificate. */
  issued(identity: IssuedIdentity): void;
  /** Called when a certificate can't be issued; it is retried automatically. */
  failed(error: unknown): void;
  /** Called before each issue. False ends the lease: the client is no longer authenticated. */
  mayIssue(): boolean;
  /** Queues the work, so that not too many leases issue at once. */
  readonly pace: (work: () => Promise<void>) => void;
  readonly timers: Timers;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Certificates are renewed after 80 % of their validity, with a jitter of 5 % either way to spread the proxies. */
const renewalPoint = 0.8;
const renewalJitter = 0.05;

/** A timer can't run longer than 24 days, and a machine that was suspended must notice soon. */
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

  /** Calls back at a time, or immediately if it has passed. */
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
      // A change in the meantime has started another issue.
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
        // A live certificate stays live until it expires. Only its renewal has to wait.
        if (state.kind !== "live") {
          stopTimer();
          state = { kind: "waiting" };
        }
        return;
      }
      const claim = { services: subject.services, signer: subject.authority.signer };
      if (state.kind !== "waiting" && sameClaim(state.claim, claim)) {
        // The renewal may have become due while there was no authority.
        if (timer === undefined) again();
        return;
      }
      issue(claim);
    },
    end,
  };
}
