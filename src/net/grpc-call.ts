import { constants, type ServerHttp2Stream } from "node:http2";
import type { Logger } from "../lib/logger.js";
import { unfinishedBytes } from "./budget.js";
import { createFrameReader, type Frame } from "./grpc-frame.js";
import { type GrpcLimitName, grpcLimits } from "./grpc-limits.js";
import { type CallError, callError, ofLimit, type Status, status } from "./grpc-status.js";
import type { Guard } from "./incidents.js";
import { inTurn } from "./turns.js";

/** A bidirectional streaming call. */
export interface GrpcCall {
  /** Address and port of the client, if still known. */
  peer(): string;
  /** Every value of a request header, as received. */
  header(name: string): readonly string[];
  /** Call on the first valid request: it lifts the limits for unproven peers from the call and its connection. */
  proved(): void;
  /** Ignored once the call has ended. */
  write(message: Frame): void;
  /** Ends the call after everything that was written. `details` is sent to the client. */
  end(code: Status, details?: string): void;
}

export interface GrpcListener {
  /** Called for each message; never after `closed`. */
  message(bytes: Buffer): void;
  /** Called exactly once when the call has ended, whichever side ended it; our own `end` calls it before it returns. */
  closed(): void;
}

/** Serves a call. When the client half-closes, the call ends as `ok`. */
export type GrpcMethod = (call: GrpcCall) => GrpcListener;

/** Limits of a call, by their names in `grpcLimits`. */
export type CallLimits = Readonly<Record<"first_message_time" | "first_message" | "message", number>>;

export const usualCallLimits: CallLimits = {
  first_message_time: grpcLimits.first_message_time.value,
  first_message: grpcLimits.first_message.value,
  message: grpcLimits.message.value,
};

/** How many messages of one call may be queued before we stop reading from it. */
const mostWaiting = 16;

export const contentType = "application/grpc";
const responseHeaders = { ":status": 200, "content-type": contentType, "grpc-accept-encoding": "identity" };

const trailersOf = (code: Status, details: string) => ({
  "grpc-status": code,
  ...(details === "" ? {} : { "grpc-message": encodeURI(details.toWellFormed()) }),
});

/**
 * Sends a headers-only response, unless the stream was reset: a client may reset it in the same segment that opened it,
 * and writing to it then throws.
 */
export function answerOnly(stream: ServerHttp2Stream, headers: Readonly<Record<string, string | number>>): void {
  if (stream.destroyed || stream.closed || stream.session?.destroyed !== false) return;
  stream.respond(headers, { endStream: true });
  stream.resume();
}

/** Rejects a call. */
export const refuseCall = (stream: ServerHttp2Stream, { code, details }: CallError): void =>
  answerOnly(stream, { ...responseHeaders, ...trailersOf(code, details) });

export interface Serving {
  readonly stream: ServerHttp2Stream;
  readonly rawHeaders: readonly string[];
  readonly method: GrpcMethod;
  readonly limits: CallLimits;
  readonly guard: Guard;
  readonly logger: Logger;
  readonly refused: (limit: GrpcLimitName) => void;
  /** Called on the first valid request. */
  readonly proved: () => void;
  /** The `end` functions of all open calls of the server; this call's is among them until it has ended. */
  readonly calls: Set<GrpcCall["end"]>;
}

/** Serves a call until either side ends it. */
export function serveCall(serving: Serving): void {
  const { stream, rawHeaders, method, limits, guard, logger, refused } = serving;
  let listener: GrpcListener | undefined;
  let ended = false;
  let begun = false;
  let proved = false;
  let waiting = 0;
  let received = 0;
  const unfinished = unfinishedBytes.share(() => exceeded("unfinished", callError("grpc.unfinished")));
  const strangerTimer = setTimeout(() => {
    const seconds = limits.first_message_time / 1000;
    exceeded("first_message_time", callError("grpc.first-message-time", { seconds }));
  }, limits.first_message_time);

  function leave(): void {
    if (ended) return;
    ended = true;
    clearTimeout(strangerTimer);
    unfinished.hold(0);
    serving.calls.delete(end);
    listener?.closed();
  }

  const isWritable = () => !stream.destroyed && !stream.closed && stream.session?.destroyed === false;

  function end(code: Status, details = ""): void {
    if (ended) return;
    leave();
    if (!isWritable()) return;
    const trailers = trailersOf(code, details);
    if (begun) {
      stream.once(
        "wantTrailers",
        guard(() => {
          if (isWritable()) stream.sendTrailers(trailers);
          setImmediate(stop);
        }, fail),
      );
      stream.end();
    } else {
      stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
      setImmediate(stop);
    }
    stream.resume();
  }

  function fails(error: CallError): void {
    end(error.code, error.details);
  }

  function exceeded(limit: GrpcLimitName, error: CallError): void {
    if (ended) return;
    refused(limit);
    fails(ofLimit(limit, error));
  }

  /** Stops reading from the client. Done earlier, the reset would overtake our trailers. */
  const stop = guard(() => {
    if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  });

  /** Aborts the call after an exception. */
  function fail(): void {
    leave();
    stream.destroy();
  }

  function handle(bytes: Buffer): void {
    waiting -= 1;
    if (ended) return;
    if (waiting === 0 && stream.isPaused()) stream.resume();
    try {
      listener?.message(bytes);
    } catch (error) {
      logger.error("a message could not be handled", { peer: call.peer(), error });
      fails(callError("grpc.internal"));
    }
  }

  const call: GrpcCall = {
    peer() {
      const { remoteAddress = "", remotePort = "" } = stream.session?.socket ?? {};
      return `${remoteAddress}:${remotePort}`;
    },
    header: (name) => rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1] === name),
    proved() {
      if (proved || ended) return;
      proved = true;
      clearTimeout(strangerTimer);
      serving.proved();
    },
    write(message) {
      if (ended || !isWritable()) return;
      if (!begun) stream.respond(responseHeaders, { waitForTrailers: true });
      begun = true;
      // The caller bounds the stream's buffer by waiting for acknowledgements.
      stream.write(message);
    },
    end,
  };

  const read = createFrameReader({
    // Later messages are measured before the first one is handled; if the first one turns out invalid, the call ends
    // then.
    longest: () => (received > 0 ? limits.message : limits.first_message),
    message(bytes) {
      received += 1;
      waiting += 1;
      if (waiting >= mostWaiting) stream.pause();
      inTurn(guard(() => handle(bytes), fail));
    },
    failed(error) {
      if (error === "compressed") fails(callError("grpc.compressed"));
      else if (received > 0) exceeded("message", callError("grpc.message", { most: limits.message }));
      else exceeded("first_message", callError("grpc.first-message", { most: limits.first_message }));
    },
    held: (bytes) => {
      if (!ended) unfinished.hold(bytes);
    },
  });
  stream.on("data", guard(read, fail));
  // Queued like messages, so that earlier messages are handled first.
  const finished = guard(() => end(status.ok), fail);
  stream.on("end", () => inTurn(finished));
  // A broken stream ends this call and affects nothing else.
  for (const event of ["error", "aborted", "close"]) stream.on(event, guard(leave));
  serving.calls.add(end);
  guard(() => {
    listener = method(call);
  }, fail)();
}
