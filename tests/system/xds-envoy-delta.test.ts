import { discoveryScenarios } from "./discovery-scenarios.js";

discoveryScenarios("DELTA_GRPC");
